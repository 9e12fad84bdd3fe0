"""The whole REST API: every route there is."""

from web import health, metrics, trainings
from web.pages import pages

# What the OpenAPI document describes.
ROUTES = (*trainings.ROUTES, *metrics.ROUTES, *health.ROUTES)

# What the server answers.
ALL_ROUTES = (*ROUTES, *pages(ROUTES))
