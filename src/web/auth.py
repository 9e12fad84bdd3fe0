"""Who is calling: bearer tokens (RFC 6750) that are JWTs (RFC 7519), checked as RFC 8725 asks.

A token signed with HS256 is checked by the shared secret, one with RS256 or ES256 by a key of the key set. Which
algorithm goes with which key is fixed here and never taken from the token.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout

from settings import Settings
from web import problems
from web.problems import UNAUTHORIZED, Problem

log = structlog.get_logger(__name__)

CACHE_SECONDS = 60.0  # a checked token is believed that long, and never beyond its own end
CACHE_SIZE = 2_000  # tokens
KEYS_FRESH = 300.0  # seconds after which the key set is read again, in the background
KEYS_COOLDOWN = 10.0  # seconds between two readings, however many unknown keys are named
KEYS_TIMEOUT = 5.0  # seconds one reading may take
KEYS_MAX_BYTES = 262_144
KEY_SET_ALGORITHMS = ("RS256", "ES256")
RSA_BITS = 2048  # at least (RFC 7518, 3.3)
MOST_GROUPS = 100  # that a claim names
_IMPLIED = {"admin": frozenset({"analytics"})}  # roles that go with a role
_GROUP = re.compile(r"[^\0\ud800-\udfff]{1,200}")  # what PostgreSQL keeps as text
# PyJWT lets Python's own errors out when the JSON of a token or of a key set is perverse.
_BAD_TOKEN = (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request: the user, the token's subject as text, and the roles that it carries. An admin has the role
    `analytics` too, which lets read everybody's derived figures.

    `groups` are those that the user is in, as an athlete, and `coach_of` those whose athletes the user coaches.
    """

    user_id: UUID
    subject: str
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    coach_of: frozenset[str] = frozenset()


class KeySet:
    """The public keys behind an address (JWKS, RFC 7517).

    Guarantees: one reading at a time; while it is under way, and while the address is away, the keys known so far
    serve; unknown key ids cause at most one reading every `KEYS_COOLDOWN` seconds.
    """

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key of that id and algorithm, or None. Raises `Problem` (503) when no set was ever read."""
        now = self._clock()
        key = self._look_up(kid, algorithm)
        if key is not None:
            if now - self._read_at > KEYS_FRESH:
                self._start_reading(now)
            return key
        reading = self._start_reading(now)
        if reading is not None:
            await asyncio.shield(reading)
        if not self._keys:
            raise problems.unavailable("The keys that tokens are signed with cannot be read right now.")
        return self._look_up(kid, algorithm)

    async def close(self) -> None:
        """End a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _look_up(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        if kid is not None:
            return self._keys.get((kid, algorithm))
        fitting = [key for (_, name), key in self._keys.items() if name == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    def _start_reading(self, now: float) -> asyncio.Task[None] | None:
        if self._reading is not None and not self._reading.done():
            return self._reading
        if now - self._tried_at < KEYS_COOLDOWN:
            return None
        self._tried_at = now
        self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        try:
            document = jwt.PyJWKSet.from_json((await self._fetch()).decode())
        except (ClientError, TimeoutError, OSError, *_BAD_TOKEN) as error:
            log.warning("key set cannot be read", error=f"{type(error).__name__}: {error}")
            return
        keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
        for key in document.keys:
            # PyJWT has already refused a key whose `alg` and type contradict each other.
            if key.algorithm_name not in KEY_SET_ALGORITHMS or key.public_key_use not in (None, "sig"):
                continue
            if getattr(key.key, "key_size", 0) < RSA_BITS and key.key_type == "RSA":
                log.warning("a key of the set is too weak and not used", kid=key.key_id)
                continue
            keys[key.key_id, key.algorithm_name] = key
        if keys:
            self._keys = keys
            self._read_at = self._clock()
        else:
            log.warning("key set holds no key for RS256 or ES256")


class Authenticator:
    """Turns the header `Authorization` into the caller."""

    def __init__(self, settings: Settings, keys: KeySet | None = None, clock: Callable[[], float] = time.time) -> None:
        self._secret = settings.jwt_secret.get_secret_value().encode() if settings.jwt_secret else None
        self._keys = keys
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer
        self._leeway = settings.jwt_leeway
        self._clock = clock
        self._known: dict[str, tuple[float, Caller]] = {}

    async def caller(self, authorization: str | None) -> Caller:
        """The caller. Raises `Problem`: 401 without a valid token, 503 while no key to check it with is known."""
        if authorization is None:
            raise _unauthorized("This resource needs a bearer token.", error=None)
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized("The header Authorization must be `Bearer <token>`.", error="invalid_request")
        now = self._clock()
        known = self._known.get(token)
        if known is not None and now < known[0]:
            return known[1]
        claims = await self._claims(token)
        caller = _caller(claims)
        self._known.pop(token, None)
        while len(self._known) >= CACHE_SIZE:
            self._known.pop(next(iter(self._known)))
        self._known[token] = (min(now + CACHE_SECONDS, float(claims["exp"]) + self._leeway), caller)
        return caller

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except _BAD_TOKEN:
            raise _unauthorized("The token is not a JWT.") from None
        algorithm = header.get("alg")
        key: bytes | jwt.PyJWK | None = None
        if algorithm == "HS256":
            key = self._secret
        elif algorithm in KEY_SET_ALGORITHMS and self._keys is not None:
            key = await self._keys.find(header.get("kid"), algorithm)
        if key is None:
            raise _unauthorized("The token is signed in a way, or with a key, that is not accepted here.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[str(algorithm)],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={
                    "require": ["exp"],
                    "verify_aud": self._audience is not None,
                    "verify_iss": self._issuer is not None,
                },
            )
        except jwt.ExpiredSignatureError:
            raise _unauthorized("The token has expired.") from None
        except jwt.ImmatureSignatureError:
            raise _unauthorized("The token is not valid yet.") from None
        except jwt.MissingRequiredClaimError as error:
            raise _unauthorized(f"The token lacks the claim `{error.claim}`.") from None
        except jwt.InvalidAudienceError:
            raise _unauthorized("The token is meant for another audience.") from None
        except jwt.InvalidIssuerError:
            raise _unauthorized("The token comes from another issuer.") from None
        except _BAD_TOKEN:
            raise _unauthorized("The token's signature or content is not valid.") from None
        return claims


def fetch_from(url: str, session: ClientSession) -> Callable[[], Awaitable[bytes]]:
    """A reader of the key set at `url`. It follows no redirect and refuses more than `KEYS_MAX_BYTES`."""

    async def fetch() -> bytes:
        timeout = ClientTimeout(total=KEYS_TIMEOUT)
        async with session.get(url, timeout=timeout, allow_redirects=False, raise_for_status=True) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > KEYS_MAX_BYTES:
                    raise ValueError(f"the key set is larger than {KEYS_MAX_BYTES} bytes")
            return bytes(body)

    return fetch


def _caller(claims: Mapping[str, Any]) -> Caller:
    subject = claims.get("sub")
    named = claims.get("userId", subject)
    try:
        user_id = UUID(named)
    except (ValueError, TypeError, AttributeError):
        raise _unauthorized("The token names no user: `userId` or `sub` must be a UUID.") from None
    subject = str(user_id) if subject is None else subject
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not subject.isprintable():
        raise _unauthorized("The claim `sub` must be 1 to 255 printable characters.")
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise _unauthorized("The claim `roles` must be a list of strings.")
    carried = frozenset(roles).union(*(_IMPLIED.get(role, ()) for role in roles))
    return Caller(user_id, subject, carried, _groups(claims, "groups"), _groups(claims, "coach_of"))


def _groups(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    groups = claims.get(name, [])
    if not isinstance(groups, list) or len(groups) > MOST_GROUPS:
        raise _unauthorized(f"The claim `{name}` must be a list of at most {MOST_GROUPS} groups.")
    if not all(isinstance(group, str) and _GROUP.fullmatch(group) for group in groups):
        raise _unauthorized(f"The claim `{name}` must be a list of texts of 1 to 200 characters.")
    return frozenset(groups)


def _unauthorized(detail: str, error: str | None = "invalid_token") -> Problem:
    challenge = 'Bearer realm="training"'
    if error is not None:
        challenge += f', error="{error}", error_description="{detail}"'
    return Problem(UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})
