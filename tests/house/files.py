"""What belongs to the repository: tracked files and new ones, nothing that git ignores."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import copyfile

from webapp.config import ROOT


def repository_files() -> list[str]:
    """Paths relative to the root, sorted; a tracked file that was deleted is left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).is_file())


def copy_repository(folder: Path) -> None:
    """A copy that a test may change and run."""
    for name in repository_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copyfile(ROOT / name, target)
