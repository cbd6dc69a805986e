"""The limits of requests to the API, and the headers that tell them (draft-ietf-httpapi-ratelimit-headers).

A person's tokens share one limit. Who is not known is counted by address, and only where a token was needed:
so that guessing is slow, and yet a good token goes through beside a program whose own has expired.
"""

from __future__ import annotations

from time import monotonic_ns
from typing import NamedTuple

from flask import Flask, Response, current_app, g, request

from webapp.access.actor import Door
from webapp.access.guards import permission_of
from webapp.access.identity import door_of_request, find_identity
from webapp.access.permissions import Permission
from webapp.api.rates import WINDOW_SECONDS, Rates, Verdict
from webapp.auth.rules import network_of
from webapp.config import Settings
from webapp.errors import N_, Throttled

MOST_FAILURES = 60  # without a good token, from one address, in a minute, by each worker
TOO_MANY = N_("Too many requests in a short time. Wait %(seconds)s seconds.")


class Policy(NamedTuple):
    """``name`` is how the headers call it."""

    name: str
    rates: Rates


def limit_requests(app: Flask, settings: Settings) -> None:
    """Before the guards, so that what they refuse is counted as well."""
    if settings.api_rate_per_minute == 0:
        return
    share = -(-settings.api_rate_per_minute // settings.web_workers)
    known, unknown = Policy("token", Rates(share)), Policy("address", Rates(min(share, MOST_FAILURES)))

    @app.before_request
    def count_request() -> None:
        if not (door_of_request() is Door.API and _needs_token()):
            return
        identity = find_identity()
        policy, key = (known, identity.id) if identity else (unknown, _address())
        verdict = policy.rates.take(key, monotonic_ns())
        g.api_rate = policy, verdict
        if not verdict.is_admitted:
            raise Throttled(TOO_MANY, retry_after=verdict.wait_seconds, seconds=verdict.wait_seconds)

    @app.after_request
    def tell_rate(response: Response) -> Response:
        if door_of_request() is Door.API:
            policy, verdict = g.get("api_rate") or (unknown, unknown.rates.look(_address(), monotonic_ns()))
            response.headers.update(describe_rate(policy, verdict))
        return response


def describe_rate(policy: Policy, verdict: Verdict) -> dict[str, str]:
    return {
        "RateLimit-Policy": f'"{policy.name}";q={policy.rates.most};w={WINDOW_SECONDS}',
        "RateLimit": f'"{policy.name}";r={verdict.remaining};t={verdict.full_in_seconds}',
    }


def _needs_token() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    return view is not None and permission_of(view) is not Permission.PUBLIC


def _address() -> str:
    return network_of(request.remote_addr or "")
