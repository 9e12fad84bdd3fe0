"""What clients do: every route of the load, by name. A new one is a function in one of these modules, and an entry."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.client import Client
from chaos.history import Kind
from chaos.routes import coaches, erasures, exercises, periodisation, trainings, workouts


@dataclass(frozen=True)
class Route:
    """What a client may do, and how often beside the others."""

    name: Kind
    weight: int
    run: Callable[[Client], Awaitable[None]]


ROUTES = (
    Route("create", 5, trainings.create),
    Route("correct", 6, trainings.correct),
    Route("delete", 1, trainings.delete),
    Route("restore", 1, trainings.restore),
    Route("reopen", 1, trainings.reopen),
    Route("import", 2, trainings.import_),
    Route("batch", 1, trainings.batch),
    Route("session", 4, trainings.session),
    Route("set", 4, trainings.save_set),
    Route("workout-create", 2, workouts.create),
    Route("workout-change", 3, workouts.change),
    Route("workout-delete", 1, workouts.delete),
    Route("plan", 3, workouts.plan),
    Route("own-create", 1, exercises.create),
    Route("own-change", 1, exercises.change),
    Route("own-delete", 1, exercises.delete),
    Route("alias-set", 2, exercises.set_alias),
    Route("alias-remove", 1, exercises.remove_alias),
    Route("accept", 2, coaches.accept),
    Route("restrict", 1, coaches.restrict),
    Route("revoke", 1, coaches.revoke),
    Route("phase-create", 1, periodisation.create_phase),
    Route("phase-move", 2, periodisation.move_phase),
    Route("phase-delete", 1, periodisation.delete_phase),
    Route("goal-create", 1, periodisation.create_goal),
    Route("goal-change", 1, periodisation.change_goal),
    Route("goal-delete", 1, periodisation.delete_goal),
    Route("check-in-set", 3, periodisation.set_check_in),
    Route("check-in-delete", 1, periodisation.delete_check_in),
    Route("advice-accept", 2, periodisation.accept),
    Route("advice-undo", 1, periodisation.undo),
    Route("form-analysis-add", 1, periodisation.analyse),
)
LEAVERS_ROUTES = (
    *(route for route in ROUTES if route.run.__module__ != coaches.__name__),
    Route("erase", 2, erasures.erase),
)
COACHES_ROUTES = (
    Route("workout-create", 1, workouts.create),
    Route("workout-change", 2, workouts.change),
    Route("coach-create", 4, coaches.create),
    Route("coach-change", 4, coaches.change),
    Route("coach-delete", 1, coaches.delete),
    Route("coach-plan", 2, coaches.plan),
    Route("group-workout", 2, coaches.copy_for_all),
    Route("group-training", 1, coaches.plan_for_all),
)
