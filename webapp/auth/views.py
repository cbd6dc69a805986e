"""Signing in and out, the own account, and one-time links."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.access.guards import before_new_password, requires
from webapp.access.identity import (
    Identity,
    current_actor,
    current_identity,
    find_identity,
    known_identity,
    page_actor,
)
from webapp.access.permissions import Permission, may_sign_in
from webapp.auth import services
from webapp.auth.browser import (
    find_device,
    forget_token,
    known_token,
    reload_identity,
    remember_device,
    remember_token,
    remote_address,
    settings,
    user_agent,
)
from webapp.auth.flood import BUSY_SECONDS
from webapp.auth.forms import ChangePasswordForm, NewPasswordForm, ProfileForm, SignInForm
from webapp.auth.models import SignInSession
from webapp.auth.notice_views import begin_notices
from webapp.auth.obstacles import diagnose_sign_in
from webapp.auth.queries import (
    find_dead_link_owner,
    find_open_link,
    get_link_owner,
    get_own_session,
    has_open_link,
    list_sessions,
)
from webapp.auth.refusals import show_resend, show_sign_in
from webapp.auth.rules import device_label, network_of, safe_path
from webapp.errors import Busy, DomainError, Invalid, NotFound, Throttled
from webapp.history.flood import count_refusal, record_refusal
from webapp.history.rules import Kind
from webapp.history.timeline import REASONS
from webapp.users.models import User
from webapp.users.queries import get_user
from webapp.users.rules import time_zones
from webapp.users.services import about, update_own_profile
from webapp.users.urls import back_to, show_url
from webapp.web.language import gettext, ngettext
from webapp.web.messages import tell
from webapp.web.resend import open_form, sent_seal

blueprint = Blueprint("auth", __name__)


@blueprint.route("/auth/login", methods=["GET", "POST"])
@requires(Permission.PUBLIC)
def sign_in() -> Response:
    home = url_for("web.show_home")
    next_url = safe_path(request.values.get("next", ""), home)
    if request.method != "POST" and find_identity() is not None:
        return redirect(next_url, 303)
    form = SignInForm()
    resend = sent_seal()
    if not form.validate_on_submit():
        return show_sign_in(form, next_url=next_url, resend=resend, status=422 if form.errors else 200)
    try:
        token = services.sign_in(
            email=form.email.data,
            password=form.password.data,
            address=remote_address(),
            user_agent=user_agent(),
            device=find_device(),
            earlier=known_token(),
            actor=page_actor(),
        )
    except (Invalid, Throttled, Busy) as error:
        form.show(error)
        return _refuse(show_sign_in(form, next_url=next_url, resend=resend), error)
    remember_token(token)
    identity = find_identity()
    is_news = begin_notices()
    kept = open_form(resend)
    where = url_for("notices.show_notices", next=next_url) if is_news else next_url
    page = show_resend(kept) if kept else redirect(where, 303)
    if identity is not None and identity.must_change_password:
        page = redirect(url_for("auth.change_password", next=next_url), 303)
        if kept:  # which no address carries
            page = _show_change_password(_own_form(identity, empty=True), next_url=next_url, resend=resend)
    if identity is not None:
        remember_device(page, identity.id, epoch=identity.epoch)
    return page


def _refuse(page: Response, error: Invalid | Throttled | Busy) -> Response:
    page.status_code = {Throttled: 429, Busy: 503}.get(type(error), 422)
    if isinstance(error, Throttled):
        page.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Busy):
        page.headers["Retry-After"] = str(BUSY_SECONDS)
    return page


@blueprint.post("/auth/logout")
@requires(Permission.PUBLIC)
def sign_out() -> Response:
    identity = find_identity()
    token = forget_token()
    if token is not None:
        services.sign_out(token, actor=identity.actor if identity else page_actor())
    tell(gettext("You are signed out."))
    response = redirect(url_for("auth.sign_in"), 303)
    # Not "cookies": the browser may send on a form that it kept, and is known again at the next sign-in. What
    # opened anything is taken out of the session's cookie, and ended in the database.
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@blueprint.route("/auth/password", methods=["GET", "POST"])
@requires(Permission.OWN_ACCOUNT)
@before_new_password
def change_password() -> Response:
    identity = current_identity()
    next_url = safe_path(request.values.get("next", ""), url_for("auth.list_devices"))
    resend = request.form.get("resend", "")
    form = _own_form(identity)
    status = 200
    if form.validate_on_submit():
        try:
            token = services.change_password(
                get_user(identity.id),
                current=form.current_password.data,
                new=form.new_password.data,
                address=remote_address(),
                user_agent=user_agent(),
                session_id=identity.session_id,
                actor=identity.actor,
            )
        except (Invalid, Throttled, Busy) as error:
            form.show(error)
            return _refuse(_show_change_password(form, next_url=next_url, resend=resend), error)
        else:
            remember_token(token)
            kept = open_form(resend)
            tell(gettext("Your password is changed. All your other devices are signed out."))
            page = show_resend(kept) if kept else redirect(next_url, 303)
            remember_device(page, identity.id, epoch=current_identity().epoch)
            return page
    elif form.errors:
        status = 422
    return _show_change_password(form, next_url=next_url, resend=resend, status=status)


def _own_form(identity: Identity, *, empty: bool = False) -> ChangePasswordForm:
    make = partial(ChangePasswordForm, formdata=None) if empty else ChangePasswordForm
    return make(role=identity.role, email=identity.email, full_name=identity.full_name)


def _show_change_password(
    form: ChangePasswordForm, *, next_url: str, resend: str, status: int = 200
) -> Response:
    """Show the form; also as the answer to a sign-in, after which a new password is the first thing."""
    identity = current_identity()
    page = render_template(
        "auth/password.html",
        form=form,
        next_url=next_url,
        resend=resend,
        must_change=identity.must_change_password,
        link=find_open_link(identity.id),
    )
    return make_response(page, status)


@blueprint.get("/auth/devices")
@requires(Permission.OWN_ACCOUNT)
def list_devices() -> str:
    return render_template("auth/devices.html", devices=_devices(current_identity().id))


@blueprint.post("/auth/devices/<int:device_id>/revoke")
@requires(Permission.OWN_ACCOUNT)
def revoke_device(device_id: int) -> Response:
    identity = current_identity()
    services.revoke_session(get_own_session(device_id, identity.id), actor=identity.actor)
    if device_id == identity.session_id:
        forget_token()
        return redirect(url_for("auth.sign_in"), 303)
    tell(gettext("The device is signed out."))
    return redirect(url_for("auth.list_devices"), 303)


@blueprint.post("/auth/devices/revoke-others")
@requires(Permission.OWN_ACCOUNT)
def revoke_other_devices() -> Response:
    identity = current_identity()
    number = services.revoke_other_sessions(keep=identity.session_id, actor=identity.actor)
    tell(ngettext("%(num)s device is signed out.", "%(num)s devices are signed out.", number))
    return redirect(url_for("auth.list_devices"), 303)


@blueprint.route("/auth/profile", methods=["GET", "POST"])
@requires(Permission.OWN_ACCOUNT)
def edit_profile() -> Response:
    user = get_user(current_identity().id)
    form = ProfileForm(obj=user)
    status = 200
    if form.validate_on_submit():
        try:
            update_own_profile(
                user,
                full_name=form.full_name.data,
                language=form.language.data,
                time_zone=form.time_zone.data,
                version=form.version.data,
                actor=current_actor(),
            )
        except DomainError as error:
            form.show(error)
            form.version.data = user.version
            status = 422 if isinstance(error, Invalid) else 409
        else:
            reload_identity()
            tell(gettext("Your profile is saved."))
            return redirect(url_for("auth.edit_profile"), 303)
    elif form.errors:
        status = 422
    page = render_template("auth/profile.html", form=form, user=user, zones=time_zones())
    return make_response(page, status)


@blueprint.post("/users/<int:user_id>/password-link")
@requires(Permission.USERS_PASSWORD_LINK)
def create_password_link(user_id: int) -> str:
    """The link is in this answer and nowhere else: not in a cookie, not in a redirect."""
    user = get_user(user_id)
    token, expires_at = services.create_password_link(user, actor=current_actor())
    link = url_for("auth.use_password_link", token=token, _external=True)
    return render_template(
        "auth/link.html", user=user, link=link, expires_at=expires_at, back_url=show_url(user, back_to())
    )


@blueprint.route("/auth/set-password/<token>", methods=["GET", "POST"])
@requires(Permission.PUBLIC)
def use_password_link(token: str) -> Response:
    """Opening the link does not use it up: mail scanners open links too."""
    try:
        user = get_link_owner(token)
        form = NewPasswordForm(role=user.role, email=user.email, full_name=user.full_name)
        status = 200
        if form.validate_on_submit():
            user = services.use_password_link(
                token, password=form.new_password.data, address=remote_address(), actor=page_actor()
            )
            page = _show_set_password(form, user, done=True)
            remember_device(page, user.id, epoch=user.session_epoch)
            return page
        if form.errors:
            status = 422
    except NotFound:
        _note_dead_link(token)
        return _show_set_password(NewPasswordForm(formdata=None), None, invalid=True, status=404)
    return _show_set_password(form, user, status=status)


def _note_dead_link(token: str) -> None:
    owner = find_dead_link_owner(token)
    told = count_refusal("link", network_of(remote_address()) if owner is None else owner.id)
    if told is not None:
        facts = {"reason": "link_unknown" if owner is None else "link_ended", **told}
        subject = about(owner) if owner else None
        record_refusal(Kind.SIGN_IN_FAILED, actor=page_actor(), subject=subject, facts=facts)


def _show_set_password(
    form: NewPasswordForm, user: User | None, *, invalid: bool = False, done: bool = False, status: int = 200
) -> Response:
    page = render_template(
        "auth/set_password.html",
        form=form,
        email=user.email if user else "",
        invalid=invalid,
        done=done,
        may_sign_in=user is not None and may_sign_in(user.role),
    )
    response = make_response(page, status)
    response.headers["Referrer-Policy"] = "strict-origin"  # the address is a secret: keep it out of logs
    return response


@blueprint.post("/users/<int:user_id>/lift-throttle")
@requires(Permission.USERS_SET_STATUS)
def lift_throttle(user_id: int) -> Response:
    user = get_user(user_id)
    addresses = {story.address for story in diagnose_sign_in(user).failures}
    services.lift_throttle(user, addresses=addresses, actor=current_actor())
    tell(gettext("%(name)s may try again.", name=user.display_name))
    return redirect(show_url(user, back_to()), 303)


def render_obstacles_panel(user: User) -> str | None:
    """Nothing where nothing stands in the way and nothing went wrong lately."""
    trouble = diagnose_sign_in(user)
    if trouble.is_empty:
        return None
    actor = current_actor()
    return render_template(
        "auth/panel_obstacles.html",
        user=user,
        trouble=trouble,
        reasons={code: gettext(text) for code, text in REASONS.items()},
        can_set_status=actor.may(Permission.USERS_SET_STATUS, on=user.role),
        can_send_link=actor.may(Permission.USERS_PASSWORD_LINK, on=user.role) and actor.user_id != user.id,
        can_set_role=actor.may(Permission.USERS_SET_ROLE, on=user.role),
    )


def render_sessions_panel(user: User) -> str:
    can_sign_out = current_actor().may(Permission.USERS_SET_STATUS, on=user.role)
    return render_template(
        "auth/panel_sessions.html", user=user, devices=_devices(user.id), can_sign_out=can_sign_out
    )


def describe_deletion(user: User) -> str | None:
    number = len(list_sessions(user.id, settings()))
    devices = ngettext("%(num)s signed-in device.", "%(num)s signed-in devices.", number) if number else ""
    link = gettext("One open link to set a password.") if has_open_link(user) else ""
    return f"{devices} {link}".strip() or None


def _devices(user_id: int) -> list[dict[str, Any]]:
    identity = known_identity()
    present = identity.session_id if identity else None
    return [_device(session, present) for session in list_sessions(user_id, settings())]


def _device(session: SignInSession, present: int | None) -> dict[str, Any]:
    browser, system = device_label(session.user_agent)
    label = gettext("%(browser)s on %(system)s", browser=browser, system=system) if browser and system else ""
    return {
        "id": session.id,
        "label": label or browser or system or gettext("Unknown device"),
        "address": session.address,
        "created_at": session.created_at,
        "last_seen_at": session.last_seen_at,
        "is_current": session.id == present,
    }
