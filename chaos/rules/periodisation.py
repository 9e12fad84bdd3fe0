"""I11 of what changes trainings too: phases, and advice that was accepted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from chaos.evidence import Logged, Planned
from chaos.history import CARRIERS, Aggregate, Call
from chaos.rules import Violation
from chaos.rules.answers import rows_by_request, rows_of


def unlike_the_phase(
    calls: Iterable[Call], log: Mapping[str, Logged], planned: AbstractSet[Planned], *, went_back: bool = False
) -> Iterator[Violation]:
    """A phase planned trainings of its user, and those that came with it: each is what its workout prescribes, or half
    of its sets. Whatever changes trainings beside its own aggregate changes what is planned alone, and both or neither.

    In a database that `went_back` phases may have been written over; one that was changed may have given some up.
    """
    rows = rows_by_request(log)
    by_version = {(row.aggregate, row.version): row for row in log.values()}
    newest = {row.aggregate: row.version for row in sorted(log.values(), key=lambda row: row.version)}
    for user_id, phase_id, training_id in planned:
        for aggregate in (Aggregate("phase", user_id, phase_id), Aggregate("training", user_id, training_id)):
            if aggregate not in newest:
                yield Violation("I11", f"phase {phase_id} planned training {training_id}: {aggregate} never was")
    for call in calls:
        if call.kind not in CARRIERS:
            continue
        own = rows_of(call, rows)
        written = rows.get(call.request_id, ())
        phases = [row for row in written if row.aggregate.type == "phase"]
        settled = not went_back and all(newest[phase.aggregate] == phase.version for phase in phases)
        for row in written:
            if row.aggregate.type != "training":
                continue
            if not own or row.aggregate.user_id != call.user_id:
                yield Violation("I11", f"{call.request_id} changed {row.aggregate} beside nothing of its own")
            elif row.event["payload"]["status"] != "PLANNED":
                yield Violation("I11", f"{call.request_id} changed {row.aggregate}, which was begun")
            elif row.version == 1:
                links = {Planned(call.user_id, phase.aggregate.id, row.aggregate.id) for phase in phases}
                if settled and not links & planned:
                    yield Violation("I11", f"{call.request_id} made {row.aggregate}, which no phase planned")
                if not _is_laid(row, by_version.get(_workout(row))):
                    yield Violation("I11", f"{call.request_id} made {row.aggregate} unlike its workout")


def unlike_the_links(
    log: Mapping[str, Logged], planned: AbstractSet[Planned], *, went_back: bool = False
) -> Iterator[Violation]:
    """What each phase has laid is by the tables what its last event says: nothing, once it is deleted.

    In a database that `went_back` a training may be missing that a phase tells of.
    """
    if went_back:
        return
    linked: dict[Aggregate, set[str]] = defaultdict(set)
    for user_id, phase_id, training_id in planned:
        linked[Aggregate("phase", user_id, phase_id)].add(training_id)
    last = {row.aggregate: row for row in sorted(log.values(), key=lambda row: row.version)}
    for phase, row in last.items():
        if phase.type == "phase":
            laid = [] if row.deletes else row.event["payload"]["trainings"]
            if {each["training_id"] for each in laid} != linked[phase]:
                yield Violation("I11", f"{phase} says that it laid other trainings than the tables have for it")


def unlike_the_advice(log: Mapping[str, Logged], *, went_back: bool = False) -> Iterator[Violation]:
    """What was accepted changed the trainings that it names, in the same request; undone, it left them as they were,
    but for those that it says it did not touch.

    After a database `went_back`, versions are others than those that are named.
    """
    by_version = {(row.aggregate, row.version): row for row in log.values()}
    touched = {(row.aggregate, row.request_id) for row in log.values()}
    for row in log.values():
        if row.aggregate.type != "advice" or went_back:
            continue
        undone = row.event["event_type"] == "advice_undone"
        for change in row.event["payload"]["changes"]:
            training = Aggregate("training", row.aggregate.user_id, change["training_id"])
            if undone and "stays" in change:
                if (training, row.request_id) in touched:
                    yield Violation("I11", f"{row.aggregate} says that {training} stays, and changed it")
                continue
            before = by_version.get((training, change["version"]))
            made = by_version.get((training, change["version_restored" if undone else "version_after"]))
            if before is None or made is None or made.request_id != row.request_id:
                yield Violation("I11", f"{row.aggregate} tells of changes of {training} that did not come with it")
            elif undone and _said(made) != _said(before):
                yield Violation("I11", f"{row.aggregate} was undone, and {training} is not as before")


def _said(training: Logged) -> Mapping[str, Any]:
    told = training.event["payload"]
    return {name: value for name, value in told.items() if name not in ("version", "previous_status")}


def _workout(training: Logged) -> tuple[Aggregate, int]:
    made = training.event["payload"]
    workout = Aggregate("workout", training.aggregate.user_id, str(made.get("workout_id")))
    return workout, made.get("workout_version", 0)


def _is_laid(training: Logged, workout: Logged | None) -> bool:
    """Whether a training has the workout's sets, or half of each, rounded up, as in a week of deload."""
    if workout is None:
        return False
    made = [(each["name"], len(each["sets"])) for each in training.event["payload"]["exercises"]]
    wanted = [(each["name"], each["sets"]) for each in workout.event["payload"]["exercises"]]
    return made in (wanted, [(name, (sets + 1) // 2) for name, sets in wanted])
