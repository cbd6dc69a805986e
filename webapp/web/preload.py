"""Files that pages are made of, which are otherwise read when somebody first needs one."""

from __future__ import annotations

from flask import Flask

from webapp.web import assets, language


def preload_files(app: Flask) -> None:
    """Read all templates, translations and static files: a process that is forked afterwards reads none that
    is newer than its code. Raises TemplateSyntaxError.
    """
    for name in app.jinja_env.list_templates(["html"]):  # no swap file of an editor
        app.jinja_env.get_template(name)
    for name in language.languages():
        language.translations(name)
    with app.app_context():
        for name in assets.asset_names():
            assets.load_asset(name)
