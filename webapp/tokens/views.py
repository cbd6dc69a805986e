"""The pages of tokens: one's own, and everybody's for who manages them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.access.guards import requires
from webapp.access.identity import current_actor, current_identity
from webapp.access.permissions import Permission, may_sign_in
from webapp.db import get_session
from webapp.errors import Conflict, Invalid
from webapp.extensions import utc_now
from webapp.listing.page import PageRequest, paginate
from webapp.listing.types import AnyRow
from webapp.tokens import queries, services
from webapp.tokens.forms import TokenFilterForm, TokenForm
from webapp.tokens.models import Token
from webapp.tokens.rules import SCOPES, read_days, unpack_scopes
from webapp.users.models import User
from webapp.users.queries import Person, get_user, list_people
from webapp.web.language import gettext, ngettext
from webapp.web.messages import tell

blueprint = Blueprint("tokens", __name__, url_prefix="/tokens")
PAGE_SIZE = 50


@blueprint.get("/")
@requires(Permission.OWN_ACCOUNT)
def list_own_tokens() -> str:
    identity = current_identity()
    return render_template("tokens/list.html", tokens=_describe(queries.list_own_tokens(identity.id)))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Permission.OWN_ACCOUNT)
def create_token() -> Response:
    """The token is in this answer and nowhere else: not in a cookie, not in a redirect."""
    identity = current_identity()
    form = TokenForm(identity.role)
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        try:
            secret, token = services.create_token(
                get_user(identity.id),
                name=form.name.data,
                scopes=form.scopes.data or (),
                days=read_days(form.days.data),
                address_range=form.address_range.data,
                actor=identity.actor,
            )
        except (Invalid, Conflict) as error:
            form.show(error)
            status = 422 if isinstance(error, Invalid) else 409
        else:
            return make_response(render_template("tokens/made.html", token=token, secret=secret))
    return make_response(render_template("tokens/form.html", form=form), status)


@blueprint.post("/<int:token_id>/revoke")
@requires(Permission.OWN_ACCOUNT)
def revoke_own_token(token_id: int) -> Response:
    identity = current_identity()
    services.revoke_token(queries.get_own_token(token_id, identity.id), actor=identity.actor)
    tell(gettext("The token is revoked."))
    return redirect(url_for("tokens.list_own_tokens"), 303)


@blueprint.get("/all")
@requires(Permission.TOKENS_MANAGE)
def list_all_tokens() -> Response:
    form = TokenFilterForm(request.args)
    if not form.validate():
        return make_response(render_template("tokens/all.html", filters=form, page=None), 422)
    after, before = request.args.get("after"), request.args.get("before")
    where = PageRequest(sort="-created_at", size=PAGE_SIZE, after=after, before=before)
    page = paginate(get_session(), queries.LISTING, form.selection(), where)
    return make_response(
        render_template("tokens/all.html", filters=form, page=page, tokens=_describe(page.rows))
    )


@blueprint.post("/all/<int:token_id>/revoke")
@requires(Permission.TOKENS_MANAGE)
def revoke_token(token_id: int) -> Response:
    services.revoke_token(queries.get_token(token_id), actor=current_actor())
    tell(gettext("The token is revoked."))
    return redirect(url_for("tokens.list_all_tokens"), 303)


def render_tokens_panel(user: User) -> str | None:
    """Nothing for who cannot have any."""
    if not may_sign_in(user.role):
        return None
    can_manage = current_actor().may(Permission.TOKENS_MANAGE, on=user.role)
    return render_template(
        "tokens/panel.html", user=user, number=queries.count_living(user.id), can_manage=can_manage
    )


def describe_deletion(user: User) -> str | None:
    number = queries.count_living(user.id) if may_sign_in(user.role) else 0
    return ngettext("%(num)s access token.", "%(num)s access tokens.", number) if number else None


def _describe(tokens: Collection[AnyRow | Token]) -> list[dict[str, Any]]:
    """As the pages show them; their owners in one query."""
    owners = {person.id: person for person in list_people({token.user_id for token in tokens})}
    now = utc_now()
    return [_description(token, owners[token.user_id], now) for token in tokens if token.user_id in owners]


def _description(token: AnyRow | Token, owner: Person, now: datetime) -> dict[str, Any]:
    granted = unpack_scopes(token.scopes)
    return {
        "id": token.id,
        "owner": owner,
        "name": token.name,
        "hint": token.hint,
        "scopes": [gettext(label) for scope, label in SCOPES.items() if scope in granted],
        "address_range": token.address_range,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "last_used_address": token.last_used_address,
        "state": queries.state_of(token, owner, now),
    }
