"""The feed of a user's changes: what a client has seen is a snapshot of transactions, which its cursor holds.

A change is a training's row with the transaction that wrote it last. It is new to a client iff the client's snapshot
does not see that transaction and the present one does: so nothing is lost, in whatever order transactions got their
ids and their commits, and an open one holds up nobody else's rows.
"""

import datetime as dt
import hashlib
import re
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from models.trainings import TrainingDocument

_MOST_RUNNING = 500  # transactions that a cursor names, which has to fit into an address
_CURSOR = re.compile(
    r"(?P<kind>[sc])(?P<place>[0-9a-f]{12})-(?P<xmax>[0-9a-f]{1,16})-(?P<running>([0-9a-f]{1,16}(_[0-9a-f]{1,16})*)?)"
    r"(-(?P<after>[0-9a-f]{32})(-(?P<group>[0-9a-f]{1,16}))?)?",
    re.ASCII,
)
_CHECK = 10  # hexadecimal digits
_TOO_LARGE = 2**63  # for a transaction's id
_NONE = "is no cursor of these changes"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sees the transactions below `xmax` that are not among `running`, which are in order."""

    xmax: int = 3  # of PostgreSQL's ids, 3 is the first that a transaction gets
    running: tuple[int, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Snapshot":
        """PostgreSQL's `pg_snapshot`: xmin:xmax:xip,xip…"""
        _, xmax, xip = text.split(":")
        return cls(int(xmax), tuple(map(int, filter(None, xip.split(",")))))

    def __str__(self) -> str:
        return f"{self.xmin}:{self.xmax}:{','.join(map(str, self.running))}"

    @property
    def xmin(self) -> int:
        """Everything below is seen."""
        return self.running[0] if self.running else self.xmax

    def sees(self, xid: int) -> bool:
        """Whether the transaction is seen."""
        return xid < self.xmax and xid not in self.running

    def advanced(self, now: "Snapshot", last: int) -> "Snapshot":
        """What this one sees, and what `now`, a later one, sees of the transactions up to `last`.

        Not more, though nothing of what `now` sees beyond was missed: after a crash PostgreSQL may give an id out again
        that no record of its log had made lasting yet. One whose row was read has lasted, and so have all below it.
        """
        running = {xid for xid in self.running if xid > last} | {xid for xid in now.running if xid <= last}
        in_order = sorted(running)
        if len(in_order) > _MOST_RUNNING:  # what began later is told once more
            return Snapshot(in_order[_MOST_RUNNING], tuple(in_order[:_MOST_RUNNING]))
        return Snapshot(max(self.xmax, last + 1), tuple(in_order))

    def without(self, xid: int) -> "Snapshot":
        """The same, but that it does not see this transaction."""
        return replace(self, running=tuple(sorted({*self.running, xid}))) if self.sees(xid) else self

    def with_(self, xid: int) -> "Snapshot":
        """The same, but that it sees this transaction, which is below its `xmax`."""
        return replace(self, running=tuple(other for other in self.running if other != xid))


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a client has come. `place` names the log: it is another one after a restore or a move.

    While `state` it reads the trainings that there are, up to the id `after`, as of `seen`. Then it has all that `seen`
    sees; and where one transaction, `group`, wrote more trainings than fit on a page, its trainings up to `after`.
    """

    place: str
    seen: Snapshot
    state: bool = False
    after: UUID | None = None
    group: int | None = None

    def text(self, user_id: UUID) -> str:
        """As the client keeps it: URL-safe, bound to the user, with a check sum."""
        running, below = [], 0
        for xid in self.seen.running:
            running.append(f"{xid - below:x}")
            below = xid
        text = f"{'s' if self.state else 'c'}{self.place}-{self.seen.xmax:x}-{'_'.join(running)}"
        if self.after is not None:
            text += f"-{self.after.hex}"
        if self.group is not None:
            text += f"-{self.group:x}"
        return f"{text}.{_check(user_id, text)}"

    @classmethod
    def of(cls, text: str, user_id: UUID) -> "Cursor":
        """The cursor that `text` gave this user. Raises `ValueError` for any other."""
        said, _, check = text.rpartition(".")
        found = _CURSOR.fullmatch(said)
        if found is None or check != _check(user_id, said):
            raise ValueError(_NONE)
        running = tuple(accumulate(int(step, 16) for step in found["running"].split("_") if step))
        seen = Snapshot(int(found["xmax"], 16), running)
        cursor = cls(
            found["place"],
            seen,
            found["kind"] == "s",
            None if found["after"] is None else UUID(found["after"]),
            None if found["group"] is None else int(found["group"], 16),
        )
        # Nothing that anybody could make up reaches PostgreSQL.
        known = [*running, seen.xmax, cursor.group or 0]
        if max(known) >= _TOO_LARGE or sorted({*running, seen.xmax}) != [*running, seen.xmax] or seen.xmin < 3:
            raise ValueError(_NONE)
        return cursor


class Tombstone(BaseModel):
    """What is left of a deleted training."""

    id: UUID
    version: int
    deleted: Literal[True]
    deleted_at: dt.datetime


class TrainingChanges(BaseModel):
    """One page of the caller's changes."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[TrainingDocument | Tombstone]
    """Each training once, as it is now; a deleted one as its tombstone."""
    next_cursor: str
    """Where to go on, now or later; opaque."""
    more: bool
    """Whether to go on at once: there are further pages, or may be."""


def _check(user_id: UUID, text: str) -> str:
    """Finds what was cut off, or is another user's. It keeps no secret: each statement names the user."""
    return hashlib.blake2b(user_id.bytes + text.encode(), digest_size=_CHECK // 2).hexdigest()
