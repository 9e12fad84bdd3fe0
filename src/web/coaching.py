"""How a coach is answered who asks for an athlete's data."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

from models.errors import DatabaseUnavailable, NotFound
from storage.access import NO_USER, Access, Guarded
from web.auth import Caller
from web.problems import FORBIDDEN, Problem
from web.routes import Reply, Route
from web.services import Services


async def coached(
    reply: Callable[[Services], Awaitable[Reply]],
    services: Services,
    route: Route,
    *,
    user_id: UUID,
    coach: Caller,
    request_id: str,
) -> Reply:
    """What `reply` makes of services whose database is guarded by the athlete's membership.

    Raises `NotFound` where there is none with the route's scope, or the athlete was erased, whatever else is wrong with
    the request: so nobody without it can tell the athlete from a user that there never was. What is refused to who
    has it is in the athlete's log too: also what is the athlete's alone (`Route.own`).
    """
    if route.known_to is None or not coach.coach_of:
        raise NotFound(NO_USER)
    access = Access(
        user_id=user_id,
        coach_id=coach.user_id,
        actor=coach.subject,
        groups=tuple(sorted(coach.coach_of)),
        scope=route.known_to,
        operation=route.operation_id,
        request_id=request_id,
    )
    database = Guarded(services.database, access)
    if route.own:
        await database.admit()
        raise Problem(FORBIDDEN, route.own)
    try:
        answer = await reply(replace(services, database=database))
    except DatabaseUnavailable:
        raise
    except Exception:
        await database.admit()
        raise
    if answer.chunks is None:  # which admit themselves, when they are read
        await database.admit()
    return answer
