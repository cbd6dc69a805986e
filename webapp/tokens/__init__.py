"""Access tokens: programs come with one where people sign in, and may less than their owner."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    from webapp.access.actor import Door
    from webapp.access.identity import set_identity_loader
    from webapp.tokens.bearer import load_identity, refuse_token_in_address
    from webapp.tokens.views import blueprint, describe_deletion, render_tokens_panel
    from webapp.web.panels import add_panel

    set_identity_loader(app, load_identity, door=Door.API)
    app.before_request(refuse_token_in_address)
    add_panel(app, "user", render_tokens_panel)
    add_panel(app, "user deletion", describe_deletion)
    app.register_blueprint(blueprint)
