"""Rows of CSV as Parquet, made a row group at a time.

The one module that needs pyarrow, whose import takes half a second and some 60 MB: it is imported where somebody asks
for Parquet, and not before.
"""

import io
from collections.abc import Mapping, Sequence

import pyarrow as pa
from pyarrow import csv, parquet

from models.exports import Kind

ROW_GROUP = 20_000
"""Rows, about: as many as are in memory."""

_TYPES: Mapping[Kind, pa.DataType] = {
    Kind.CODE: pa.string(),
    Kind.TEXT: pa.string(),
    Kind.JSON: pa.string(),
    Kind.DAY: pa.date32(),
    Kind.MOMENT: pa.timestamp("us", tz="UTC"),
    Kind.WHOLE: pa.int64(),
    Kind.EXACT: pa.decimal128(38, 12),
    Kind.REAL: pa.float64(),
}
_PARSE = csv.ParseOptions(newlines_in_values=True)


class ParquetFile:
    """A Parquet file of rows that come by and by; each call gives the bytes that follow on those given before.

    Decimals are exact (128 bits, 12 digits after the point); what is NULL is null. Holds one row group.
    """

    def __init__(self, columns: Mapping[str, Kind]) -> None:
        self._schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._convert = csv.ConvertOptions(
            column_types=self._schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        self._rows: list[str] = []

    def add(self, rows: Sequence[str]) -> bytes:
        """Rows of CSV, in which an empty text is quoted and NULL is not."""
        self._rows += rows
        if len(self._rows) >= ROW_GROUP:
            self._write()
        return self._sink.take()

    def end(self) -> bytes:
        """The rest of the file."""
        if self._rows:
            self._write()
        self._writer.close()
        return self._sink.take()

    def _write(self) -> None:
        data = "\n".join(self._rows).encode()
        self._rows = []
        read = csv.ReadOptions(use_threads=False, column_names=self._schema.names, block_size=len(data) + 1)
        table = csv.read_csv(io.BytesIO(data), read_options=read, parse_options=_PARSE, convert_options=self._convert)
        self._writer.write_table(table, row_group_size=len(table))


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: object, /) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type] # a buffer of pyarrow's
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
