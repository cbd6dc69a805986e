"""What only HTML needs: forms, error pages, languages, times, headers and static files."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.web.addresses import refuse_undecodable_addresses
    from webapp.web.assets import add_assets
    from webapp.web.headers import add_headers
    from webapp.web.jinja import prepare_jinja
    from webapp.web.pages import add_error_pages
    from webapp.web.views import blueprint

    refuse_undecodable_addresses(app)
    add_headers(app)
    add_assets(app)
    prepare_jinja(app)
    add_error_pages(app)
    app.register_blueprint(blueprint)
