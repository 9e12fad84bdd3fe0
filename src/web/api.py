"""The whole REST API: every route there is."""

from web import (
    changes,
    dashboard,
    erasures,
    exercise_history,
    exercises,
    exports,
    groups,
    health,
    imports,
    memberships,
    metrics,
    own_exercises,
    portability,
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
    *training_batch.ROUTES,
    *workouts.ROUTES,
    *exercises.ROUTES,
    *exercise_history.ROUTES,
    *own_exercises.ROUTES,
    *memberships.ROUTES,
    *groups.ROUTES,
    *imports.ROUTES,
    *metrics.ROUTES,
    *exports.ROUTES,
    *portability.ROUTES,
    *erasures.ROUTES,
    *health.ROUTES,
)

# What the server answers.
ALL_ROUTES = (*ROUTES, *pages(ROUTES), *dashboard.ROUTES)
