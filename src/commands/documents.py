"""`training openapi` and `training asyncapi`: what the service says of itself, as it is committed in docs/."""

import argparse
import sys

from web import asyncapi as events
from web import openapi as rest
from web.api import ROUTES


def openapi(_: argparse.Namespace) -> int:
    """`training openapi`: print the OpenAPI document of the REST API."""
    sys.stdout.buffer.write(rest.text(rest.document(ROUTES)))
    return 0


def asyncapi(_: argparse.Namespace) -> int:
    """`training asyncapi`: print the AsyncAPI document of the events."""
    sys.stdout.buffer.write(rest.text(events.document()))
    return 0
