"""The wheel and its sources."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from release.tools import run


def build(root: Path, out: Path, version: str) -> list[Path]:
    """Build the sources' archive, and the wheel from it, into `out`. Raises `ReleaseError`.

    What git keeps, or would keep, is built, in a folder of its own; with the build back-end that is installed, which is
    the locked one. The same commit gives the same wheel.
    """
    committed_at = run(["git", "-C", str(root), "log", "-1", "--format=%ct"]).strip()
    with tempfile.TemporaryDirectory(prefix="training-release-") as folder:
        _copy(root, Path(folder))
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out.resolve()), folder]
        run(command, os.environ | {"SOURCE_DATE_EPOCH": committed_at})
    return sorted(out.glob(f"training_service-{version}[.-]*"))


def _copy(root: Path, folder: Path) -> None:
    names = run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    for name in names.rstrip("\0").split("\0"):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
