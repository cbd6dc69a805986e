"""The credits' pages, and their part of a user's page."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp.access.guards import requires
from webapp.access.identity import current_actor
from webapp.access.permissions import Permission
from webapp.credits import export, queries, services
from webapp.credits.forms import IssueForm, TransferForm
from webapp.credits.rules import BANK, Order, order_grant, order_transfer, order_withdrawal, read_amount
from webapp.db import get_session
from webapp.errors import Conflict, Invalid
from webapp.extensions import utc_now
from webapp.listing.page import PageRequest, paginate
from webapp.listing.types import AnyRow
from webapp.users.export import end_with
from webapp.users.models import Trashed, User
from webapp.users.queries import find_user, get_user
from webapp.users.services import about
from webapp.users.trash import find_trashed
from webapp.web.csv import stream_csv
from webapp.web.language import gettext
from webapp.web.messages import tell
from webapp.web.times import format_cents

blueprint = Blueprint("credits", __name__, url_prefix="/users/<int:user_id>/credits")
SHOWN_OF_A_PERSON = 5
PAGE_SIZE = 50


@blueprint.get("/")
@requires(Permission.CREDITS_READ)
def show_ledger(user_id: int) -> str:
    user = _find_owner(user_id)
    where = PageRequest(
        sort="-at", size=PAGE_SIZE, after=request.args.get("after"), before=request.args.get("before")
    )
    page = paginate(get_session(), queries.LISTING, queries.select_postings(user_id), where)
    return render_template(
        "credits/ledger.html",
        user=user,
        user_id=user_id,
        is_trashed=isinstance(user, Trashed),
        page=page,
        lines=queries.tell(page.rows),
        balance=queries.get_balance(user_id),
        acts=_acts_on(user) if isinstance(user, User) else {},
    )


@blueprint.route("/transfer", methods=["GET", "POST"])
@requires(Permission.CREDITS_MOVE)
def transfer_credits(user_id: int) -> Response:
    user, form = _open(user_id, Permission.CREDITS_MOVE), TransferForm()

    def read_order() -> Order:
        return order_transfer(
            from_user_id=user.id,
            to_user_id=queries.find_person(form.to_user_id.data).id,
            amount_cents=read_amount(form.amount.data),
            reason=form.reason.data,
        )

    return _ask(form, user, "transfer", read_order)


@blueprint.route("/grant", methods=["GET", "POST"])
@requires(Permission.CREDITS_ISSUE)
def grant_credits(user_id: int) -> Response:
    user, form = _open(user_id, Permission.CREDITS_ISSUE), IssueForm()

    def read_order() -> Order:
        amount = read_amount(form.amount.data)
        return order_grant(to_user_id=user.id, amount_cents=amount, reason=form.reason.data)

    return _ask(form, user, "grant", read_order)


@blueprint.route("/withdraw", methods=["GET", "POST"])
@requires(Permission.CREDITS_ISSUE)
def withdraw_credits(user_id: int) -> Response:
    user, form = _open(user_id, Permission.CREDITS_ISSUE), IssueForm()

    def read_order() -> Order:
        amount = read_amount(form.amount.data)
        return order_withdrawal(from_user_id=user.id, amount_cents=amount, reason=form.reason.data)

    return _ask(form, user, "withdraw", read_order)


@blueprint.post("/export")
@requires(Permission.USERS_EXPORT)
def export_ledger(user_id: int) -> Response:
    """All of it, as a file."""
    user, actor = get_user(user_id), current_actor()
    return stream_csv(
        f"credits-{user.id}-{utc_now():%Y-%m-%d}",
        export.HEAD,
        end_with(actor, export.read_ledger(user.id), subject=about(user)._replace(version=None)),
        owner_id=actor.user_id or 0,
        begin=lambda: export.note_export(user.id, actor=actor),
    )


def _find_owner(user_id: int) -> User | Trashed:
    """Somebody in the trash, too, for whoever may look into it. Raises NotFound."""
    found: User | Trashed | None = find_user(user_id)
    if found is None and current_actor().may(Permission.USERS_DELETE):
        found = find_trashed(user_id)
    return found or get_user(user_id)


def _open(user_id: int, permission: Permission) -> User:
    user = get_user(user_id)
    current_actor().require(permission, on=user.role)
    return user


def _ask(form: TransferForm | IssueForm, user: User, act: str, read_order: Callable[[], Order]) -> Response:
    """The form; then what exactly will happen; then it has happened."""
    actor = current_actor()
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        try:
            order = read_order()
            if not form.confirmed.data:
                effects = services.foresee(order, actor=actor)
                return _show(form, user, act, order=order, effects=effects)
            services.move(order, key=form.key.data, actor=actor)
        except (Invalid, Conflict) as error:
            form.show(error)
            status = 422 if isinstance(error, Invalid) else 409
        else:
            tell(_say_done(order, queries.find_names({order.from_user_id, order.to_user_id})))
            return redirect(url_for("credits.show_ledger", user_id=user.id), 303)
    return _show(form, user, act, status=status, balance=queries.get_balance(user.id))


def _show(
    form: TransferForm | IssueForm, user: User, act: str, *, status: int = 200, **context: object
) -> Response:
    name = "credits/form.html" if "order" not in context else "credits/confirm.html"
    return make_response(render_template(name, form=form, user=user, act=act, **context), status)


def _say_done(order: Order, names: dict[int, str]) -> str:
    amount = format_cents(order.amount_cents)
    sender, recipient = names.get(order.from_user_id, ""), names.get(order.to_user_id, "")
    if order.from_user_id == BANK:
        return gettext("%(amount)s granted to %(name)s.", amount=amount, name=recipient)
    if order.to_user_id == BANK:
        return gettext("%(amount)s withdrawn from %(name)s.", amount=amount, name=sender)
    return gettext(
        "%(amount)s went from %(sender)s to %(recipient)s.", amount=amount, sender=sender, recipient=recipient
    )


def _acts_on(user: User) -> dict[str, str]:
    """What this person may do with the user's credits, and where."""
    actor = current_actor()
    acts = {
        "transfer": Permission.CREDITS_MOVE,
        "grant": Permission.CREDITS_ISSUE,
        "withdraw": Permission.CREDITS_ISSUE,
    }
    return {
        act: url_for(f"credits.{act}_credits", user_id=user.id)
        for act, permission in acts.items()
        if actor.may(permission, on=user.role)
    }


def render_trashed_link(row: AnyRow) -> str | None:
    if not current_actor().may(Permission.CREDITS_READ):
        return None
    return render_template("credits/trashed.html", row=row)


def render_credits(user: User) -> str | None:
    if not current_actor().may(Permission.CREDITS_READ):
        return None
    rows = queries.list_latest(user.id, most=SHOWN_OF_A_PERSON)
    return render_template(
        "credits/panel.html",
        user=user,
        lines=queries.tell(rows),
        balance=queries.get_balance(user.id),
        acts=_acts_on(user),
    )
