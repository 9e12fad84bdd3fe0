"""Files of archived rows: Parquet, sorted by user, training and version, in row groups of some megabytes.

So whatever is read or written, one row group is in memory, and statistics tell which of them hold a user. The second
module that needs pyarrow: like `models.parquet` it is imported where there is something to do. Nothing here knows the
database. Raises `OSError`, and pyarrow's `Broken` for a file that is not as it was.
"""

import hashlib
import io
import os
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from models.archives import Manifest
from storage.archive_folder import manifest_of, partial, sync_folder

GROUP_BYTES = 4 * 2**20  # of payload in one row group, and one row more at most
Broken = pa.ArrowException

_TYPES: Mapping[str, pa.DataType] = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}
_CODED = ("topic", "aggregate_type", "aggregate_id", "event_type", "user_id", "actor")  # few values, or long runs


class Writer:
    """Writes a file under a name that nobody takes for an archive, until `end` says what it holds.

    `columns` are the names and PostgreSQL's types of the rows; what is no number and no moment is text. Rows come in
    order of user, training and version. To be closed in any case, also after an error.
    """

    def __init__(self, folder: Path, name: str, columns: Mapping[str, str]) -> None:
        self._folder, self._name, self._columns = folder, name, columns
        self._schema = pa.schema([(column, _TYPES.get(type_, pa.string())) for column, type_ in columns.items()])
        self._file = _Hashed(partial(folder, name))
        self._writer = parquet.ParquetWriter(
            self._file,
            self._schema,
            compression="zstd",
            use_dictionary=[column for column in _CODED if column in columns],
            write_page_checksum=True,
        )
        self._pending: list[Sequence[object]] = []
        self._size = 0
        self._last: tuple[str, str] | None = None
        self.rows = self.trainings = self.last_seq = 0

    def add(self, rows: Sequence[Sequence[object]]) -> None:
        """Rows as tuples, in the order of the columns."""
        payload = list(self._columns).index("payload")
        for row in rows:
            self._pending.append(row)
            self._size += len(str(row[payload]))
            if self._size >= GROUP_BYTES:
                self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Rows of another file, as one row group."""
        if not len(table):
            return
        trainings = zip(table["user_id"].to_pylist(), table["aggregate_id"].to_pylist(), strict=True)
        for training in trainings:
            self.trainings += training != self._last
            self._last = training
        self.rows += len(table)
        self.last_seq = max(self.last_seq, pc.max(table["seq"]).as_py())
        self._writer.write_table(table, row_group_size=len(table))

    def end(self, month: Any) -> Manifest:
        """Put the file and its manifest in place, lasting; `month` is what the manifest says."""
        if self._pending:
            self._flush()
        self._writer.close()
        self._file.sync()
        manifest = Manifest(
            file=self._name,
            month=month,
            rows=self.rows,
            trainings=self.trainings,
            bytes=self._file.size,
            sha256=self._file.digest,
            last_seq=self.last_seq,
            columns=dict(self._columns),
        )
        beside = manifest_of(self._folder, self._name)
        with partial(self._folder, beside.name).open("wb") as file:
            file.write(manifest.model_dump_json(indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        partial(self._folder, beside.name).rename(beside)
        partial(self._folder, self._name).rename(self._folder / self._name)
        sync_folder(self._folder)
        return manifest

    def close(self) -> None:
        """Let go of the file, whatever became of it."""
        try:
            self._writer.close()
        finally:
            self._file.close()

    def _flush(self) -> None:
        columns = zip(*self._pending, strict=True)
        self._pending, self._size = [], 0
        self.add_table(
            pa.table(
                [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)],
                schema=self._schema,
            )
        )


class _Hashed(io.RawIOBase):
    """A new file that is written from the beginning to the end, and its SHA-256."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: object, /) -> int:
        part = memoryview(data)  # type: ignore[arg-type] # a buffer of pyarrow's
        self._file.write(part)
        self._hash.update(part)
        self.size += part.nbytes
        return part.nbytes

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
        super().close()


def read(
    path: Path, users: Collection[str] | None = None, trainings: Collection[str] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """The rows, in the file's order and a row group at a time: those of these users, and of these trainings.

    Pages are held to their checksums.
    """
    for table in _tables(path, users, trainings):
        yield table.to_pylist()


def names_actor(path: Path, actors: Collection[str]) -> bool:
    """Whether a row says that one of these is who acted."""
    with parquet.ParquetFile(path, page_checksum_verification=True) as file:
        return any(
            pc.any(_among(file.read_row_group(number, ["actor"], use_threads=False)["actor"], actors)).as_py()
            for number in range(file.num_row_groups)
        )


def rewritten(path: Path, name: str, user: str, actors: Collection[str], instead: str) -> Manifest | None:
    """Write the rows of all users but one into a new file beside it; where one of `actors` acted, `instead` did.

    None where no row is left: then there is no file.
    """
    before = Manifest.model_validate_json(manifest_of(path.parent, path.name).read_bytes())
    writer = Writer(path.parent, name, before.columns)
    try:
        for table in _tables(path):
            table = table.filter(pc.not_equal(table["user_id"], user))  # noqa: PLW2901 - less of the same
            named = pc.if_else(_among(table["actor"], actors), instead, table["actor"])
            writer.add_table(table.set_column(table.schema.get_field_index("actor"), "actor", named))
        return writer.end(before.month) if writer.rows else None
    finally:
        writer.close()


def _among(column: Any, texts: Collection[str]) -> Any:
    return pc.is_in(column, value_set=pa.array(texts, column.type))


def digest_of(path: Path) -> str:
    """SHA-256 of the file as it is on disk, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tables(
    path: Path, users: Collection[str] | None = None, trainings: Collection[str] | None = None
) -> Iterator[pa.Table]:
    wanted = {"user_id": users, "aggregate_id": trainings}
    asked = {name: sorted(values) for name, values in wanted.items() if values is not None}
    with parquet.ParquetFile(path, page_checksum_verification=True) as file:
        places = {name: file.schema_arrow.get_field_index(name) for name in asked}
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            if all(_may_hold(group.column(places[name]).statistics, values) for name, values in asked.items()):
                table = file.read_row_group(number, use_threads=False)
                for name, values in asked.items():
                    table = table.filter(pc.is_in(table[name], value_set=pa.array(values, pa.string())))
                if len(table):
                    yield table


def _may_hold(statistics: Any, values: Sequence[str]) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    place = bisect_left(values, statistics.min)
    return place < len(values) and values[place] <= statistics.max
