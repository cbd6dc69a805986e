"""The token of one call: from the Authorization header alone, looked up on each call."""

from __future__ import annotations

import logging
from functools import partial

from flask import request
from sqlalchemy.exc import SQLAlchemyError

from webapp.access.actor import Door
from webapp.access.identity import Identity, door_of_request, page_actor
from webapp.access.permissions import may_sign_in
from webapp.auth.rules import network_of
from webapp.errors import N_, Malformed
from webapp.extensions import utc_now
from webapp.history.flood import count_refusal, record_refusal
from webapp.history.rules import Kind
from webapp.history.services import Subject
from webapp.tokens import services
from webapp.tokens.queries import Bearer, find_refused, find_revoked, find_token, is_token_there
from webapp.tokens.rules import USED_INTERVAL, holds_token, read_bearer

logger = logging.getLogger(__name__)

# RFC 6750, 2.3 lets a token stand in the address; RFC 9700, 4.3.2 forbids it: addresses are logged and kept.
IN_ADDRESS = frozenset({"access_token", "token", "api_key", "apikey", "api_token", "auth_token", "bearer"})


def load_identity() -> Identity | None:
    secret = read_bearer(request.headers.get("Authorization", ""))
    if secret is None:
        return None
    address = request.remote_addr or ""
    bearer = find_token(secret, address=address)
    if bearer is None or not may_sign_in(bearer.role):
        _note_refusal(secret, address)
        return None
    _mark_used(bearer, address)
    return Identity(
        id=bearer.user_id,
        email=bearer.email,
        full_name=bearer.full_name,
        role=bearer.role,
        language=bearer.language,
        time_zone=bearer.time_zone,
        token_id=bearer.token_id,
        scopes=bearer.scopes,
        epoch=bearer.epoch,
        credential=partial(is_token_there, bearer.token_id),
    )


def _mark_used(bearer: Bearer, address: str) -> None:
    """Best effort: that nothing can be written just now is no reason to refuse a call."""
    now = utc_now()
    if bearer.last_used_at is not None and now - bearer.last_used_at <= USED_INTERVAL:
        return
    try:
        services.mark_used(bearer.token_id, address=address, now=now)
    except SQLAlchemyError:
        logger.warning("could not note when token %d was last used", bearer.token_id, exc_info=True)


def _note_refusal(secret: str, address: str) -> None:
    """Of a token that opens nothing it is recorded why, and whose it is, as far as that is known."""
    known = find_refused(secret, address=address)
    key = network_of(address) if known is None else known
    told = count_refusal("token" if known is None else f"token of {known.user_id}", key)
    if told is None:
        return
    known = known or find_revoked(secret)
    facts = {"reason": known.reason if known else "token_unknown", **told}
    if known:
        facts["token"] = known.label
    subject = Subject(known.user_id, known.owner) if known else None
    record_refusal(Kind.SIGN_IN_FAILED, actor=page_actor(), subject=subject, facts=facts)


def refuse_token_in_address() -> None:
    """Raises Malformed. Asked of the API's public pages too: what stands there is known to others by now."""
    if door_of_request() is not Door.API or not request.query_string:
        return
    named = {name.lower() for name in request.args} & IN_ADDRESS
    values = (value for values in request.args.lists() for value in (values[0], *values[1]))
    if named or any(map(holds_token, values)):
        raise Malformed(
            N_(
                "A token must not stand in the address, where others can read it. Send it in the header"
                " Authorization, and if it was a real one, revoke it and make another."
            )
        )
