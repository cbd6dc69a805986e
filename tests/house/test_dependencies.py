"""What the service runs with is all pinned, installed as pinned, and nothing else is carried along."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.metadata import distribution
from itertools import chain

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from webapp.config import ROOT

PINNED: dict[str, str] = {
    canonicalize_name(name): version
    for name, _, version in (
        line.partition("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
}
VENDORED = (ROOT / "static/vendor/VENDORED.md").read_text(encoding="utf-8")


def find_libraries() -> dict[str, str]:
    """Name → version of all that the service needs, and that those need in turn."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [Requirement("dossier")]
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        library = distribution(requirement.name)
        found[canonicalize_name(requirement.name)] = library.version
        for wanted in map(Requirement, library.requires or []):
            ways = [{"extra": extra} for extra in requirement.extras or {""}]
            if wanted.marker is None or any(map(wanted.marker.evaluate, ways)):
                waiting.append(wanted)
    return found


def test_all_that_the_service_runs_with_is_installed_as_it_is_pinned() -> None:
    libraries = find_libraries()
    del libraries["dossier"]
    assert {"flask", "jinja2", "psycopg-binary", "argon2-cffi-bindings"} <= set(libraries)
    assert {name: PINNED.get(name, "") for name in libraries} == libraries


def test_every_version_is_pinned_exactly_and_once() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    names = [canonicalize_name(line.partition("==")[0]) for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line) for line in lines)
    assert len(names) == len(set(names))


def test_the_vendored_files_are_those_of_their_packages() -> None:
    """Each has its package, its version and the digest of the file that was copied."""
    listed = dict(
        re.findall(r"^\| `([^`]+)` \| `[^`]+` [\d.]+ \| .* \| `([0-9a-f]{64})` \|$", VENDORED, re.M)
    )
    folder = ROOT / "static" / "vendor"
    assert {name: sha256((folder / name).read_bytes()).hexdigest() for name in listed} == listed
    there = {path.name for path in chain(folder.glob("*.js"), folder.glob("*.css"))}
    assert there | {"../icons.svg"} == set(listed)
