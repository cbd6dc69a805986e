"""Static files under names that hold their content's hash, so that browsers may keep them for ever.

They are few and small: read once, compressed once, served from memory.
"""

from __future__ import annotations

import gzip
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from flask import Flask, Response, abort, current_app, request, url_for
from markupsafe import Markup

from webapp.access.guards import requires
from webapp.access.permissions import Permission
from webapp.config import ROOT

FOLDER = ROOT / "static"
FOREVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"
TEXT = (".css", ".js", ".svg", ".txt", ".md")


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    compressed: bytes | None
    media_type: str
    digest: str


def add_assets(app: Flask) -> None:
    app.add_url_rule("/static/<digest>/<path:name>", "static", serve_asset)
    app.add_url_rule("/favicon.ico", "favicon", serve_favicon)


def static_url(name: str) -> str:
    """The address of ``static/<name>``. Raises FileNotFoundError for a name that does not exist."""
    return _url(name, _stamp(name), request.script_root)


@lru_cache(maxsize=256)
def _url(name: str, stamp: float, _script_root: str) -> str:
    return url_for("static", digest=_read(FOLDER / name, stamp).digest, name=name)


def icon(name: str) -> Markup:
    """One of the sprite's symbols, for decoration: the text beside it says the same."""
    return _icon(name, static_url("icons.svg"))


@lru_cache(maxsize=256)
def _icon(name: str, sprite: str) -> Markup:
    return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>').format(sprite, name)


@requires(Permission.PUBLIC)
def serve_asset(digest: str, name: str) -> Response:
    if name not in asset_names():
        abort(404)
    asset = load_asset(name)
    zipped = asset.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(asset.compressed if zipped else asset.content, content_type=asset.media_type)
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    # An old page may ask for an old hash after an upgrade: it gets the new file, for a minute.
    response.headers["Cache-Control"] = FOREVER if digest == asset.digest else BRIEFLY
    response.set_etag(asset.digest + ("z" if zipped else ""))
    response.make_conditional(request)
    return response


@requires(Permission.PUBLIC)
def serve_favicon() -> Response:
    return serve_asset("", "favicon.svg")


@lru_cache(maxsize=1)
def asset_names() -> frozenset[str]:
    """Only these can be asked for, so that no path leads out of the folder."""
    return frozenset(p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*") if p.is_file())


def load_asset(name: str) -> Asset:
    """``static/<name>``, kept. Raises FileNotFoundError for a name that does not exist."""
    return _read(FOLDER / name, _stamp(name))


def _stamp(name: str) -> float:
    """While developing, a changed file is read anew; in production files do not change."""
    return (FOLDER / name).stat().st_mtime if current_app.debug else 0.0


@lru_cache(maxsize=256)
def _read(path: Path, _stamp: float) -> Asset:
    content = path.read_bytes()
    compressed = gzip.compress(content, 9, mtime=0) if path.suffix in TEXT else None
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if media_type.startswith("text/") or media_type.endswith("+xml"):
        media_type += "; charset=utf-8"
    return Asset(content, compressed, media_type, sha256(content).hexdigest()[:12])
