"""Pages of documents. A worker holds a page whole, and more than once: so it ends by bytes as well as by rows."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from storage.database import Row

PAGE_BYTES = 8_000_000  # of documents, after which no other comes on a page

T = TypeVar("T")


class Page(list[T]):
    """What stands on a page, in order. `more` is whether anything comes after it."""

    def __init__(self, items: Iterable[T], *, more: bool) -> None:
        super().__init__(items)
        self.more = more


def bounded(rows: str, order: str, text: str) -> str:
    """A query for the rows of the query `rows` that stand on a page, and the one after them: what `page_of` reads.

    `rows` is in the order of the columns `order`, and has at most as many rows as the page may have and one more. The
    bytes of its column `text` are counted, and two columns are added, by which the row after the page is known.
    PostgreSQL stops a few rows after the page (a run condition of the outer window), so that documents which it makes
    of other rows are not made in vain.
    """
    window = f"OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING)"
    return f"""
    SELECT * FROM (
        SELECT *, count(*) FILTER (WHERE upto >= {PAGE_BYTES}) {window} AS filled FROM (
            SELECT *, sum(octet_length({text})) {window} AS upto FROM ({rows}) found
        ) summed
    ) paged WHERE filled <= 2 ORDER BY {order}"""  # noqa: S608 - composed of statements of this program's own


def page_of(rows: Sequence[Row], limit: int) -> Page[Row]:
    """The page of at most `limit` rows that a query made by `bounded` found, as that query's `rows` has them.

    It ends with the document by which it has `PAGE_BYTES`, so it always has one at least.
    """
    page = [row[:-2] for row in rows[:limit] if row[-1] < 2]
    return Page(page, more=len(rows) > len(page))
