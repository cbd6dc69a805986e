"""What templates may use. A template asks nothing of the database."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flask import Flask, current_app, g, request
from jinja2 import StrictUndefined
from markupsafe import Markup

from webapp.access.identity import known_identity
from webapp.access.permissions import ROLE_LABELS, Permission, Role
from webapp.web import assets, language, messages, people, times


def prepare_jinja(app: Flask) -> None:
    environment: Any = app.jinja_env  # its i18n extension adds a method no type knows
    environment.undefined = StrictUndefined
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.add_extension("jinja2.ext.i18n")  # for {% trans %}
    environment.install_gettext_callables(language.raw_gettext, language.raw_ngettext, newstyle=True)
    environment.filters.update(
        day=times.format_day,
        moment=times.format_moment,
        ago=times.format_ago,
        utc=times.format_utc,
        utc_title=times.format_utc_title,
        number=times.format_number,
        cents=times.format_cents,
        hue=people.hue,
        initials=people.initials,
        role_label=_role_label,
    )
    # The extension's own _() formats and escapes every message, though most have nothing to fill in.
    environment.globals.update(_=language.gettext_in_html, ngettext=language.ngettext_in_html)
    environment.globals.update(
        static_url=assets.static_url,
        icon=assets.icon,
        messages=messages.take_messages,
        can=_can,
        fragment=_fragment,
    )
    app.context_processor(_name_the_request)


def _fragment(name: str, **values: str) -> Markup:
    """A part that differs by language, by what the person may do and by ``values`` only, made once for each:
    the head, the places to go to, the list of shortcuts.
    """
    identity = known_identity()
    permissions = identity.permissions if identity else None
    stamp = g.get("request_id") if current_app.debug else None
    cookies = current_app.config["SESSION_COOKIE_NAME"]  # of one process, but not of its tests
    differs = (language.current_language(), permissions, request.script_root, cookies, stamp)
    return _render_fragment(name, tuple(values.items()), differs)


@lru_cache(maxsize=512)
def _render_fragment(name: str, values: tuple[tuple[str, str], ...], _differs: object) -> Markup:
    return Markup(current_app.jinja_env.get_template(name).render(values))  # noqa: S704 - our own template


def _role_label(role: Role) -> str:
    return language.gettext(ROLE_LABELS[role])


def _can(permission: str) -> bool:
    identity = known_identity()
    return identity is not None and identity.actor.may(Permission(permission))


def _name_the_request() -> dict[str, Any]:
    return {
        "current_user": known_identity(),
        "lang": language.current_language(),
        "request_id": g.get("request_id", ""),
    }
