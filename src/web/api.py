"""The whole REST API: every route there is."""

from web import (
    advice,
    calendar,
    changes,
    check_ins,
    dashboard,
    erasures,
    exercise_history,
    exercises,
    exports,
    form_analyses,
    goals,
    groups,
    health,
    imports,
    memberships,
    metrics,
    own_exercises,
    phases,
    portability,
    progression,
    readiness,
    sessions,
    sets,
    training_batch,
    trainings,
    workouts,
)
from web.pages import pages

# What the OpenAPI document describes.
ROUTES = (
    *trainings.ROUTES,
    *changes.ROUTES,
    *sessions.ROUTES,
    *sets.ROUTES,
    *form_analyses.ROUTES,
    *training_batch.ROUTES,
    *workouts.ROUTES,
    *progression.ROUTES,
    *phases.ROUTES,
    *calendar.ROUTES,
    *goals.ROUTES,
    *exercises.ROUTES,
    *exercise_history.ROUTES,
    *own_exercises.ROUTES,
    *memberships.ROUTES,
    *groups.ROUTES,
    *imports.ROUTES,
    *metrics.ROUTES,
    *check_ins.ROUTES,
    *readiness.ROUTES,
    *advice.ROUTES,
    *exports.ROUTES,
    *portability.ROUTES,
    *erasures.ROUTES,
    *health.ROUTES,
)

# What the server answers.
ALL_ROUTES = (*ROUTES, *pages(ROUTES), *dashboard.ROUTES)
