"""The folder of the archives: whose it is, and where its files are. Nothing here reads them, or needs pyarrow."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from models.errors import ArchiveUnavailable

HOME = "folder.id"  # the file that names the log whose archives a folder holds, and where that log's database is


def claim(folder: Path, here: Sequence[str], names: Collection[str], adopt: bool) -> list[Path]:
    """Have the folder be that of `here`: the log, and where its database is; returns the files that `names` lack.

    Raises `OSError`, and `ArchiveUnavailable` where it is another log's, or this one's elsewhere and not to `adopt`.
    """
    mark = folder / HOME
    there = mark.read_text(encoding="ascii").split() if mark.exists() else []
    found = [*folder.glob("trainings-*"), *folder.glob(".trainings-*.partial")]
    if there[:1] not in ([], here[:1]):
        raise ArchiveUnavailable(f"{folder} holds the archives of another database.")
    if found and not there and not names:
        raise ArchiveUnavailable(f"{folder} holds archives that this database does not know.")
    if there != here:
        if found and there and not adopt:
            raise ArchiveUnavailable(
                f"{folder} was used by this database elsewhere. Where that is gone, and this is no copy beside it, run "
                "`training archive adopt`."
            )
        new = partial(folder, HOME)
        new.write_text(" ".join(here) + "\n", encoding="ascii")
        new.rename(mark)
        sync_folder(folder)
    known = {path.name for name in names for path in (folder / name, manifest_of(folder, name))}
    return [path for path in found if path.name not in known]


def manifest_of(folder: Path, name: str) -> Path:
    """Where the manifest of a file is."""
    return folder / f"{name.removesuffix('.parquet')}.json"


def partial(folder: Path, name: str) -> Path:
    """Where a file is before it is whole."""
    return folder / f".{name}.partial"


def sync_folder(folder: Path) -> None:
    """Have the names of the folder outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
