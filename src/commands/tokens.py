"""`training token`: a token of this service's own secret, for development and for a first look."""

import argparse
import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import jwt

from commands.environment import CommandError, service_settings

DEVELOPER = UUID("01990000-0000-7000-8000-000000000001")  # the user of tokens that name nobody else


def make_token(secret: str, user: UUID, life: dt.timedelta, **lists: Sequence[str]) -> str:
    """A bearer token (JWT, HS256) that names `user` in the claim `userId`, from now until `life` has passed.

    `lists` are further claims (`roles`, `groups`, `coach_of`); empty ones are left out.
    """
    now = dt.datetime.now(dt.UTC)
    claims = {"userId": str(user), "iat": now, "exp": now + life}
    return jwt.encode(claims | {name: list(texts) for name, texts in lists.items() if texts}, secret, algorithm="HS256")


def token(args: argparse.Namespace) -> int:
    """`training token`: print one."""
    secret = service_settings().jwt_secret
    if secret is None:
        raise CommandError("TRAINING_JWT_SECRET is needed: the tokens of a key set are made by whoever keeps its keys.")
    life = dt.timedelta(days=args.days)
    lists = {"roles": args.role, "groups": args.group, "coach_of": args.coach_of}
    print(make_token(secret.get_secret_value(), args.user or DEVELOPER, life, **lists))
    return 0
