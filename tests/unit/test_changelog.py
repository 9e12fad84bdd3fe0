"""CHANGELOG.md, held to the version of pyproject.toml and to the form that it names."""

import datetime as dt
import re
from pathlib import Path

import pytest

import cli
from release.changelog import check, versions
from release.tools import ReleaseError

ROOT = Path(__file__).parents[2]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_newest_version_is_the_one_that_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"training {check(ROOT)}\n"


def test_another_version_is_not_released(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.0.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n## [0.9.0] - 2026-01-01\n")
    with pytest.raises(ReleaseError, match=r"has version 1\.0\.0, and the newest in CHANGELOG\.md is 0\.9\.0"):
        check(tmp_path)


def test_versions_come_newest_first_and_changes_under_known_headings() -> None:
    found = versions(CHANGELOG)
    assert [tuple(map(int, version.split("."))) for version, _ in found] == sorted(
        (tuple(map(int, version.split("."))) for version, _ in found), reverse=True
    )
    days = [dt.date.fromisoformat(day) for _, day in found]
    assert days == sorted(days, reverse=True)
    assert CHANGELOG.count("\n## [") == len(found) + CHANGELOG.count("\n## [Unreleased]\n")
    newest = max(path.name for path in (ROOT / "migrations" / "versions").glob("*.py")).partition("_")[0]
    assert newest in CHANGELOG.split("\n## [")[-len(found)]
    kinds = set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
