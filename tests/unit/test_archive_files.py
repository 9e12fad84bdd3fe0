import datetime as dt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.archives import Manifest
from storage import archive_files

COLUMNS = {
    "seq": "bigint",
    "xid": "xid8",
    "aggregate_id": "uuid",
    "version": "integer",
    "user_id": "uuid",
    "actor": "text",
    "request_id": "text",
    "payload": "text",
    "created_at": "timestamp with time zone",
}
NAME = "trainings-2024-01.parquet"
MONTH = dt.date(2024, 1, 1)

_ids = st.integers(1, 6).map(lambda number: str(UUID(int=number << 64)))
_moments = st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2024, 2, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001
_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
_rows = st.lists(
    st.tuples(
        st.integers(1, 2**62), st.just("7"), _ids, st.integers(1, 9), _ids, _ids, st.none() | _text, _text, _moments
    ),
    min_size=1,
    max_size=40,
).map(lambda rows: sorted(rows, key=lambda row: (row[4], row[2], row[3])))


def write(folder: Path, rows: list[tuple[Any, ...]], name: str = NAME) -> Manifest:
    writer = archive_files.Writer(folder, name, COLUMNS)
    for start in range(0, len(rows), 7):
        writer.add(rows[start : start + 7])
    manifest = writer.end(MONTH)
    writer.close()
    return manifest


def read(path: Path, **wanted: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for rows in archive_files.read(path, **wanted) for row in rows]


@settings(max_examples=30, deadline=None)
@given(_rows, st.sets(_ids), st.sets(_ids), st.integers(1, 200))
def test_a_file_holds_its_rows_and_finds_those_of_users_and_trainings(
    rows: list[tuple[Any, ...]], users: set[str], trainings: set[str], group: int
) -> None:
    with TemporaryDirectory() as name, patch.object(archive_files, "GROUP_BYTES", group):
        folder = Path(name)
        manifest = write(folder, rows)
        path = folder / NAME
        assert read(path) == rows
        assert read(path, users=users) == [row for row in rows if row[4] in users]
        assert read(path, users=users, trainings=trainings) == [
            row for row in rows if row[4] in users and row[2] in trainings
        ]
        assert manifest.sha256 == archive_files.digest_of(path)
        assert (manifest.rows, manifest.bytes) == (len(rows), path.stat().st_size)
        assert (manifest.trainings, manifest.last_seq) == (
            len({(row[4], row[2]) for row in rows}),
            max(row[0] for row in rows),
        )
        assert Manifest.model_validate_json((folder / "trainings-2024-01.json").read_bytes()) == manifest
        user = rows[0][4]
        left = [(*row[:5], "erased" if row[5] == user else row[5], *row[6:]) for row in rows if row[4] != user]
        assert archive_files.names_actor(path, [user]) == any(row[5] == user for row in rows)
        other = archive_files.rewritten(path, "other.parquet", user, [user], "erased")
        assert (other is None) == (not left)
        if other is not None:
            assert read(folder / "other.parquet") == left
            assert other.rows == len(left)
            assert not archive_files.names_actor(folder / "other.parquet", [user])


def test_only_the_row_groups_of_a_user_are_read(tmp_path: Path) -> None:
    at = dt.datetime(2024, 1, 5, tzinfo=dt.UTC)
    ids = [str(UUID(int=number << 64)) for number in range(1, 101)]
    with patch.object(archive_files, "GROUP_BYTES", 1000):
        write(tmp_path, [(place, "7", id_, 1, id_, "a", None, "x" * 100, at) for place, id_ in enumerate(ids)])
    with patch.object(archive_files.parquet.ParquetFile, "read_row_group", autospec=True) as reads:
        reads.side_effect = AssertionError
        with pytest.raises(AssertionError):
            read(tmp_path / NAME, users=[ids[50]])
    assert reads.call_count == 1
    reads.side_effect = None
    groups = archive_files.parquet.ParquetFile(tmp_path / NAME).num_row_groups
    assert groups == 10
    with patch.object(archive_files, "_may_hold", wraps=archive_files._may_hold) as asked:
        assert len(read(tmp_path / NAME, users=[ids[50]])) == 1
    assert asked.call_count == groups


def test_a_page_that_changed_on_disk_is_noticed(tmp_path: Path) -> None:
    at = dt.datetime(2024, 1, 5, tzinfo=dt.UTC)
    id_ = str(UUID(int=1))
    write(tmp_path, [(place, "7", id_, place, id_, "a", None, f"{place}" * 50, at) for place in range(1, 200)])
    path = tmp_path / NAME
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises((OSError, archive_files.Broken)):
        read(path)
