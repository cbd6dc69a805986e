"""What a browser would send of a form in a page, so that tests press the page's own buttons."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class PageForm:
    """``fields`` holds what would be sent: also the hidden inputs, only ticked boxes, chosen options."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self._form: PageForm | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "form":
            self._form = PageForm(values.get("action", ""), values.get("method", "get"))
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "select":
            self._select = name
        elif (
            tag == "option"
            and self._select
            and ("selected" in values or self._select not in self._form.fields)
        ):
            self._form.fields[self._select] = values.get("value", "")
        elif tag == "input" and name and (values.get("type") != "checkbox" or "checked" in values):
            self._form.fields[name] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None


def read_forms(page: str) -> list[PageForm]:
    reader = _Reader()
    reader.feed(page)
    return reader.forms


def read_form(page: str, *, holding: str = "", action: str = "") -> PageForm:
    """The page's only POST form that has the field ``holding`` or goes to ``action``."""
    found = [
        form
        for form in read_forms(page)
        if form.method == "post"
        and ((holding and holding in form.fields) or (action and form.action == action))
    ]
    assert len(found) == 1, f"{len(found)} forms with {holding or action!r}"
    return found[0]
