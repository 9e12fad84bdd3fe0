"""CHANGELOG.md, which must tell of the version that pyproject.toml names."""

import re
import tomllib
from pathlib import Path

from release.tools import ReleaseError

_HEADING = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def check(root: Path) -> str:
    """The version of pyproject.toml. Raises `ReleaseError` where another one is the newest in CHANGELOG.md."""
    version = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    released = versions((root / "CHANGELOG.md").read_text("utf-8"))
    if not released or released[0][0] != version:
        newest = released[0][0] if released else "none"
        raise ReleaseError(f"pyproject.toml has version {version}, and the newest in CHANGELOG.md is {newest}")
    return str(version)


def versions(changelog: str) -> list[tuple[str, str]]:
    """Versions and their days, as they stand there: the newest first."""
    return _HEADING.findall(changelog)
