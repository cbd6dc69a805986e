"""axe-core on the page as it stands, and whether it fits a narrow window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

from playwright.sync_api import Page

NARROW, ZOOMED, WIDE = 320, 640, 1280  # 640 is a window of 1280 at 200 %
HEIGHT = 800

# WCAG 2.2 AA and axe's own advice; some rules of 2.2 are off unless asked for by tag.
EVERY_RULE = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
COLOURS, SIZES = ("color-contrast",), ("target-size",)

RUN = """async (rules) => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], runOnly: rules });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`));
}"""


WIDER = """() => Math.max(
  document.documentElement.scrollWidth - innerWidth,
  ...[...document.querySelectorAll("nav > ul")].map((list) => list.scrollWidth - list.clientWidth))"""


@lru_cache
def axe_script() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def find_violations(page: Page, rules: Sequence[str] = EVERY_RULE) -> list[str]:
    """What axe objects to, one line for each element. ``rules`` are all rules' names, or all tags."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe_script())
    violations: list[str] = page.evaluate(RUN, list(rules))
    return violations


def overflow(page: Page, width: int) -> int:
    """By how many pixels the page is wider than a window of ``width``, or its navigation than its room."""
    page.set_viewport_size({"width": width, "height": HEIGHT})
    wider: int = page.evaluate(WIDER)
    return max(wider, 0)
