"""Holding what users mean by names to the log: what `agents.volume_audit` needs to know of each user's names."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from agents.folding import NotAnEvent
from agents.naming import decode
from models.events import ExercisePayload
from models.naming import NO_NAMES, Names, names_at, newest_of_each
from storage.database import Cursor, Row
from storage.naming import logged_namings, name_row


@dataclass(frozen=True, slots=True)
class UserNames:
    """One user's names by the log, as far as the user's row says that they are taken in.

    `version` is how far that is, `refolded` how far all trainings know them: of a row that is missed, though others
    come from it, the log's end. `logged` is the version of the log's newest event. `row`: whether there must be one.
    """

    user_id: UUID
    told: Sequence[ExercisePayload]
    logged: int
    version: int
    refolded: int
    row: bool
    _at: dict[int, Names] = field(default_factory=dict)

    @property
    def behind(self) -> bool:
        """Whether something that the log says of them is not in the tables, or not in all trainings."""
        return self.refolded < self.logged

    @property
    def rows(self) -> list[Row]:
        """The rows of `exercise_names` that there must be."""
        newest = newest_of_each(payload for payload in self.told if payload.version <= self.version)
        return [name_row(name, payload) for name, payload in newest.items()]

    def known(self, naming: int) -> Names:
        """What a training of the user is computed with that says it knows the names up to version `naming`.

        Once all trainings know them, it is held to what they are.
        """
        if not self.told:
            return NO_NAMES
        version = self.version if self.refolded == self.version else naming
        if version not in self._at:
            self._at[version] = names_at(self.told, version)
        return self._at[version]


async def user_names(
    cursor: Cursor, users: Sequence[UUID], rows: Iterable[Row], derived: Iterable[UUID]
) -> dict[UUID, UserNames]:
    """The names of each of these users. `rows` are theirs of `users`; `derived` are the users with rows elsewhere."""
    told: dict[UUID, list[ExercisePayload]] = defaultdict(list)
    logged: dict[UUID, int] = defaultdict(int)
    for each in await logged_namings(cursor, users):
        logged[each.user_id] = each.version
        try:
            event = decode(each.event.value)
        except NotAnEvent:
            continue  # a dead letter
        if event is not None:
            told[each.user_id].append(event.payload)
    found: dict[UUID, tuple[int, int]] = {user_id: (naming, refolded) for user_id, naming, refolded in rows}
    found |= {user_id: (logged[user_id], logged[user_id]) for user_id in derived if user_id not in found}
    names = {}
    for user_id in users:
        naming, refolded = found.get(user_id, (0, 0))
        version = min(naming, logged[user_id])
        names[user_id] = UserNames(
            user_id, told[user_id], logged[user_id], version, min(refolded, version), user_id in found
        )
    return names
