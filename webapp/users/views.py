"""The users' pages: the list, a person, and the form."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError
from werkzeug.wrappers import Response

from webapp.access.guards import requires
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission, Role
from webapp.db import get_session
from webapp.db.diagnosis import TOO_SLOW, diagnose
from webapp.errors import N_, Conflict, Invalid, Stale
from webapp.history.queries import list_stories, list_stories_since
from webapp.history.rules import FIELD_LABELS
from webapp.history.timeline import explain_fields
from webapp.history.views import SHOWN_OF_A_PERSON, render_timeline
from webapp.listing.page import paginate
from webapp.users import queries, services, trash
from webapp.users.comparison import FIELDS, Comparison, choose
from webapp.users.forms import DeleteForm, UserFilterForm, UserForm
from webapp.users.models import User
from webapp.users.presence import ASKED_EVERY_SECONDS, OPENED_LASTS, find_presence, note_left, note_open
from webapp.users.table import build_heads, build_table
from webapp.users.undo_views import NEEDS_LINK, undo_url
from webapp.users.urls import (
    LONGEST_BACK,
    after_save,
    back_to,
    back_url,
    came_from_form,
    list_back,
    list_url,
    show_url,
)
from webapp.web.language import gettext
from webapp.web.messages import tell
from webapp.web.panels import collect_panels

blueprint = Blueprint("users", __name__, url_prefix="/users")


@blueprint.get("/")
@requires(Permission.USERS_READ)
def list_users() -> Response:
    form = UserFilterForm(request.args)
    if not form.validate():
        return show_list(form, empty="bad_filters", status=422)
    selection = form.selection()
    started = perf_counter()
    try:
        page = paginate(get_session(), queries.LISTING, selection, form.page_request(request.args))
    except DBAPIError as error:
        if diagnose(error) is not TOO_SLOW:
            raise
        return show_list(form, empty="too_slow", status=503)
    took_ms = round((perf_counter() - started) * 1000)
    here = request.query_string.decode("ascii", "replace")[:LONGEST_BACK]
    table = build_table(page, form, words=selection.words, here=here, took_ms=took_ms)
    notice, empty = None, None
    if page.had_bad_cursor:
        notice = gettext(
            "The link to that page was damaged or belongs to another sort. This is the first page."
        )
    if page.is_too_far:
        empty = "too_far"
    elif page.is_past_end:
        empty = "past_end"
        notice = gettext("Page %(number)s is past the end of the list.", number=form.page.data)
    elif not page.rows:
        empty = "no_match" if form.is_filtering else "no_users"
    return show_list(form, page=table, notice=notice, empty=empty, here=here)


def show_list(form: UserFilterForm, *, status: int = 200, **context: Any) -> Response:
    state = {name: value for name, value in form.state().items() if name in {"sort", "page_size"}}
    page = render_template(
        "users/list.html",
        **{"page": None, "notice": None, "empty": None, **context},
        filters=form,
        filters_active=form.is_filtering,
        clear_url=list_url(state),
        export_state=form.state(),
        sort=form.sort.data,
        heads=build_heads(form),
        new_url=url_for("users.create_user") if current_actor().may(Permission.USERS_CREATE) else None,
    )
    return make_response(page, status)


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Permission.USERS_CREATE)
def create_user() -> Response:
    actor = current_actor()
    form = UserForm(with_role=actor.may(Permission.USERS_SET_ROLE), with_link=True)
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        try:
            if form.create_link.data:  # asked before: else the user would be there, and the link not yet
                actor.require_confirmation(
                    N_("Create %(name)s and a password link"), name=form.full_name.data or form.email.data
                )
            user = services.create_user(
                email=form.email.data,
                full_name=form.full_name.data,
                role=form.role.data if "role" in form else Role.MEMBER,
                actor=actor,
            )
        except (Invalid, Conflict) as error:
            form.show(error)
            status = 422 if isinstance(error, Invalid) else 409
        else:
            tell(gettext("%(name)s is created.", name=user.display_name))
            if form.create_link.data:  # 307: the browser posts on to where the link is made
                return redirect(url_for("auth.create_password_link", user_id=user.id), 307)
            return redirect(show_url(user, back_to()), 303)
    return _show_form(form, None, status=status)


@blueprint.get("/<int:user_id>")
@requires(Permission.USERS_READ)
def show_user(user_id: int) -> str | Response:
    actor = current_actor()
    if (
        actor.may(Permission.USERS_DELETE)
        and queries.find_user(user_id) is None
        and trash.is_trashed(user_id)
    ):
        return redirect(url_for("trash.restore_user", user_id=user_id), 303)
    if came_from_form(user_id):
        note_left(user_id, actor=actor)
    user = queries.get_user(user_id)
    back = back_to()

    def url_if(permission: Permission, endpoint: str) -> str | None:
        allowed = actor.may(permission, on=user.role)
        return url_for(endpoint, user_id=user.id, back=back or None) if allowed else None

    can_set_status = actor.may(Permission.USERS_SET_STATUS, on=user.role)
    stories = list_stories(user.id, most=SHOWN_OF_A_PERSON + 1)
    return render_template(
        "users/show.html",
        user=user,
        back=back,
        back_url=back_url(user, back),
        edit_url=url_if(Permission.USERS_EDIT, "users.edit_user"),
        delete_url=url_if(Permission.USERS_DELETE, "users.delete_user") if actor.user_id != user.id else None,
        can_set_status=can_set_status and actor.user_id != user.id,
        can_send_link=actor.may(Permission.USERS_PASSWORD_LINK, on=user.role)
        and user.is_active
        and actor.user_id != user.id,
        can_sign_out=can_set_status,
        # Ready HTML of our own templates.
        panels=[Markup(html) for html in collect_panels("user", user)],  # noqa: S704
        profile_panels=[Markup(html) for html in collect_panels("user profile", user)],  # noqa: S704
        timeline=Markup(render_timeline(user.id, user.role, stories)),  # noqa: S704
        told=explain_fields(stories),
    )


@blueprint.route("/<int:user_id>/edit", methods=["GET", "POST"])
@requires(Permission.USERS_EDIT)
def edit_user(user_id: int) -> Response:
    actor = current_actor()
    if request.method == "POST" and queries.find_user(user_id) is None:
        form = UserForm(with_role=actor.may(Permission.USERS_SET_ROLE))
        return _show_form(form, None, gone_id=user_id, status=404)
    user = queries.get_user(user_id)
    actor.require(Permission.USERS_EDIT, on=user.role)
    form = UserForm(obj=user, with_role=actor.may(Permission.USERS_SET_ROLE))
    choose(user, form, {name: request.form.get(f"choice-{name}", "") for name in FIELDS})
    status = 422 if form.is_submitted() else 200
    stale = None
    if form.validate_on_submit():
        seen, had_password = form.version.data, not user.is_invited
        try:
            changed = services.update_user(
                user,
                version=form.version.data,
                email=form.email.data,
                full_name=form.full_name.data,
                role=form.role.data if "role" in form else None,
                actor=actor,
            )
        except Stale:
            stale, status = Comparison.of(user, form, seen), 409
            form.version.data = user.version  # sent again, the form is about what the page shows now
        except (Invalid, Conflict) as error:
            form.show(error)
            status = 422 if isinstance(error, Invalid) else 409
        else:
            _tell_saved(user, changed=changed, seen=seen, lost_password=had_password and user.is_invited)
            return redirect(after_save(user, back_to()), 303)
    return _show_form(form, user, stale=stale, status=status)


def _tell_saved(user: User, *, changed: bool, seen: int, lost_password: bool) -> None:
    if not changed:
        tell(gettext("Nothing was changed."))
        return
    text = gettext("%(name)s is saved.", name=user.display_name)
    if lost_password:
        text += " " + gettext(NEEDS_LINK)
    own = current_actor()
    others = {
        name
        for story in list_stories_since(user.id, seen)
        if (story.actor_id, story.request_id) != (own.user_id, own.request_id)
        for name in story.changes
    } & FIELD_LABELS.keys()
    if others:
        labels = ", ".join(sorted(gettext(FIELD_LABELS[name]) for name in others))
        text += " " + gettext("What somebody else changed meanwhile is kept: %(fields)s.", fields=labels)
    tell(text, undo_url=undo_url(user.id))


def _show_form(
    form: UserForm,
    user: User | None,
    *,
    stale: Comparison | None = None,
    gone_id: int | None = None,
    status: int,
) -> Response:
    """``gone_id``: the user was deleted while somebody edited him, who must not lose what he typed."""
    back = back_to()
    actor = current_actor()
    can_restore = gone_id is not None and actor.may(Permission.USERS_DELETE)
    presence = find_presence(user, version=form.version.data, actor=actor) if user else None
    page = render_template(
        "users/form.html",
        form=form,
        user=user,
        stale=stale,
        presence=presence,
        asked_every=ASKED_EVERY_SECONDS,
        is_gone=gone_id is not None,
        restore_url=url_for("trash.restore_user", user_id=gone_id)
        if can_restore and gone_id is not None and trash.is_trashed(gone_id)
        else None,
        back=back,
        cancel_url=show_url(user, back) if user else list_back(back),
    )
    if user and presence:
        note_open(user.id, presence, lasts=OPENED_LASTS, actor=actor)  # last: it ends what was read
    return make_response(page, status)


@blueprint.post("/<int:user_id>/activate")
@requires(Permission.USERS_SET_STATUS)
def activate_user(user_id: int) -> Response:
    user = queries.get_user(user_id)
    if services.activate_user(user, actor=current_actor()):
        tell(gettext("%(name)s is active again.", name=user.display_name), undo_url=undo_url(user.id))
    return redirect(show_url(user, back_to()), 303)


@blueprint.post("/<int:user_id>/deactivate")
@requires(Permission.USERS_SET_STATUS)
def deactivate_user(user_id: int) -> Response:
    user = queries.get_user(user_id)
    if services.deactivate_user(user, actor=current_actor()):
        text = gettext("%(name)s is inactive and signed out everywhere.", name=user.display_name)
        tell(text, undo_url=undo_url(user.id))
    return redirect(show_url(user, back_to()), 303)


@blueprint.post("/<int:user_id>/sign-out")
@requires(Permission.USERS_SET_STATUS)
def sign_out_user(user_id: int) -> Response:
    user = queries.get_user(user_id)
    services.sign_out_everywhere(user, actor=current_actor())
    tell(gettext("%(name)s is signed out everywhere.", name=user.display_name))
    return redirect(show_url(user, back_to()), 303)


@blueprint.route("/<int:user_id>/delete", methods=["GET", "POST"])
@requires(Permission.USERS_DELETE)
def delete_user(user_id: int) -> Response:
    user = queries.get_user(user_id)
    form = DeleteForm(obj=user)
    back = back_to()
    status = 200
    if form.validate_on_submit():
        try:
            trash.delete_user(user, version=form.version.data, actor=current_actor())
        except (Stale, Conflict) as error:
            form.show(error)
            form.version.data = user.version
            status = 409
        else:
            tell(gettext("%(name)s is in the trash.", name=user.display_name), undo_url=undo_url(user_id))
            return redirect(list_back(back), 303)
    goes = collect_panels("user deletion", user)
    page = render_template(
        "users/delete.html", user=user, goes=goes, form=form, cancel_url=show_url(user, back), back=back
    )
    return make_response(page, status)
