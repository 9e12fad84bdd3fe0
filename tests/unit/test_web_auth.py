"""Tokens: who is let in, and who is not (RFC 7519, RFC 8725)."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.warnings import InsecureKeyLengthWarning
from pydantic import ValidationError

from tests.support.web import SECRET, USER, make_settings, token
from web import auth
from web.auth import Authenticator, Caller, KeySet
from web.problems import Problem

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def _jwk(kid: str, key: Any = None, **more: str) -> dict[str, Any]:
    algorithm: Any = ECAlgorithm if key is EC_KEY else RSAAlgorithm
    public: dict[str, Any] = json.loads(algorithm.to_jwk((key or RSA_KEY).public_key()))
    return public | {"kid": kid} | more


def _unsigned(header: dict[str, Any], payload: bytes) -> str:
    parts = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (orjson.dumps(header), payload, b"x")]
    return ".".join(parts)


class Keys:
    """An address of a key set that can be away, slow and rotated, and a clock."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.away = False
        self.asked = 0
        self.now = 1000.0
        self.set = KeySet(self.fetch, lambda: self.now)

    async def fetch(self) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise OSError("away")
        return orjson.dumps({"keys": self.keys})


async def _caller(bearer: str, keys: Keys | None = None, **settings: Any) -> Caller:
    authenticator = Authenticator(make_settings(**settings), keys.set if keys else None)
    return await authenticator.caller(f"Bearer {bearer}")


async def _refused(bearer: str, keys: Keys | None = None, **settings: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        await _caller(bearer, keys, **settings)
    assert caught.value.kind.status == 401
    assert 'error="invalid_token"' in caught.value.headers["WWW-Authenticate"]
    return caught.value


async def test_a_good_token() -> None:
    caller = await _caller(token(sub="athlete-7", roles=["admin", "analytics"]))
    assert (caller.user_id, caller.subject) == (USER, "athlete-7")
    assert caller.roles == frozenset({"admin", "analytics"})


async def test_an_admin_is_an_analyst_too() -> None:
    assert (await _caller(token(roles=["admin"]))).roles == frozenset({"admin", "analytics"})
    assert (await _caller(token(roles=["analytics"]))).roles == frozenset({"analytics"})


async def test_without_the_claim_a_token_has_no_role() -> None:
    assert (await _caller(token())).roles == frozenset()


@pytest.mark.parametrize("roles", ["admin", {"admin": True}, [1], 1])
async def test_roles_that_are_no_list_of_strings(roles: object) -> None:
    await _refused(token(roles=roles))


async def test_groups_of_a_token() -> None:
    most = [f"group {n}" for n in range(100)]
    caller = await _caller(token(groups=["team", "a\nb", "x" * 200, "team"], coach_of=most))
    assert caller.groups == {"team", "a\nb", "x" * 200}
    assert caller.coach_of == set(most)
    without = await _caller(token())
    assert without.groups == without.coach_of == frozenset()


@pytest.mark.parametrize("claim", ["groups", "coach_of"])
@pytest.mark.parametrize(
    "groups", ["team", {"team": True}, [1], 1, [""], ["x" * 201], ["a\0b"], ["\ud800"], ["team"] * 101, [None], [["a"]]]
)
async def test_groups_that_are_no_list_of_names(claim: str, groups: object) -> None:
    await _refused(token(**{claim: groups}))


async def test_the_subject_serves_as_the_user() -> None:
    caller = await _caller(token(userId=None, sub=str(USER)))
    assert (caller.user_id, caller.subject) == (USER, str(USER))


async def test_without_a_subject_the_user_is_it() -> None:
    assert (await _caller(token())).subject == str(USER)


@pytest.mark.parametrize(
    "claims",
    [
        {"userId": None},
        {"userId": "athlete-7"},
        {"userId": "athlete-7", "sub": str(USER)},
        {"userId": 7},
        {"userId": [str(USER)]},
        {"sub": ""},
        {"sub": "a\x00b"},
        {"sub": "a\nb"},
        {"sub": "x" * 256},
        {"sub": 7},
    ],
)
async def test_a_token_that_names_no_user(claims: dict[str, Any]) -> None:
    await _refused(token(**claims))


@pytest.mark.parametrize(
    ("header", "error"),
    [(None, None), ("", "invalid_request"), ("Basic eDp5", "invalid_request"), ("Bearer", "invalid_request")],
)
async def test_no_bearer_token(header: str | None, error: str | None) -> None:
    with pytest.raises(Problem) as caught:
        await Authenticator(make_settings()).caller(header)
    challenge = caught.value.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="training"')
    assert (f'error="{error}"' in challenge) if error else ("error" not in challenge)


async def test_the_scheme_is_read_in_any_case() -> None:
    assert (await Authenticator(make_settings()).caller(f"bearer {token()}")).user_id == USER


async def test_time() -> None:
    now = int(time.time())
    assert "expired" in (await _refused(token(exp=now - 60), jwt_leeway=10)).detail
    assert "not valid yet" in (await _refused(token(nbf=now + 60), jwt_leeway=10)).detail
    assert "`exp`" in (await _refused(token(exp=None))).detail
    assert (await _caller(token(exp=now - 60, nbf=now + 60), jwt_leeway=120)).user_id == USER


async def test_audience() -> None:
    assert "audience" in (await _refused(token(aud="other"), jwt_audience="training")).detail
    assert "`aud`" in (await _refused(token(), jwt_audience="training")).detail
    assert (await _caller(token(aud=["x", "training"]), jwt_audience="training")).user_id == USER
    assert (await _caller(token(aud="x"))).user_id == USER  # none is asked for


async def test_issuer() -> None:
    assert "issuer" in (await _refused(token(iss="other"), jwt_issuer="auth")).detail
    assert "`iss`" in (await _refused(token(), jwt_issuer="auth")).detail
    assert (await _caller(token(iss="auth"), jwt_issuer="auth")).user_id == USER


async def test_another_secret() -> None:
    await _refused(token(key="b" * 32))


async def test_an_unsigned_token() -> None:
    await _refused(token(key=None, algorithm="none"))
    claims = orjson.dumps({"userId": str(USER), "exp": int(time.time()) + 60})
    for algorithm in ("none", "None", "NONE", "", None, 7, ["HS256"]):
        await _refused(_unsigned({"alg": algorithm, "typ": "JWT"}, claims), Keys(_jwk("a")))


async def test_an_algorithm_that_is_not_on_the_list() -> None:
    await _refused(token(algorithm="HS512", key=SECRET * 2), jwt_secret=SECRET * 2)
    await _refused(token(key=RSA_KEY, algorithm="PS256"), Keys(_jwk("a")))


async def test_a_public_key_is_no_shared_secret() -> None:
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    forged = _hmac(pem, {"alg": "HS256", "kid": "a"}, {"userId": str(USER), "exp": int(time.time()) + 60})
    await _refused(forged, Keys(_jwk("a")), jwt_secret=None, jwks_url="https://keys.example/jwks")
    await _refused(forged, Keys(_jwk("a")))


async def test_a_symmetric_key_in_the_set_is_not_used() -> None:
    secret = base64.urlsafe_b64encode(b"k" * 32).rstrip(b"=").decode()
    keys = Keys(_jwk("a"), {"kty": "oct", "kid": "b", "k": secret})
    await _refused(token(key="k" * 32), keys, jwt_secret=None, jwks_url="https://keys.example/jwks")


@pytest.mark.parametrize(
    "bearer",
    [
        "x",
        "x.y.z",
        "..",
        "é.é.é",
        _unsigned({"alg": "HS256"}, b"[]"),
        _unsigned({"alg": "HS256"}, b"{"),
        "W" * 8000,
        base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.x",
        base64.urlsafe_b64encode(b'{"alg":' + b"[" * 3000).decode() + ".e30.x",
    ],
)
async def test_what_is_no_token(bearer: str) -> None:
    await _refused(bearer, Keys(_jwk("a")))


@pytest.mark.parametrize("exp", [float("inf"), float("nan"), "soon", [], {}, -1, 1e400])
async def test_a_perverse_end(exp: Any) -> None:
    await _refused(token(exp=exp))


async def test_a_checked_token_is_believed_until_its_end() -> None:
    now = time.time()
    clock = [now]
    authenticator = Authenticator(make_settings(jwt_leeway=0), clock=lambda: clock[0])
    bearer = f"Bearer {token(exp=int(now) + 5)}"
    assert await authenticator.caller(bearer) is await authenticator.caller(bearer)
    clock[0] = now + 3600  # PyJWT has a clock of its own: it is asked again, and still says yes
    first = await authenticator.caller(bearer)
    clock[0] = now
    assert await authenticator.caller(bearer) is first


async def test_what_is_believed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "CACHE_SIZE", 3)
    authenticator = Authenticator(make_settings())
    for number in range(10):
        await authenticator.caller(f"Bearer {token(UUID(int=number))}")
    assert len(authenticator._known) == 3


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256")])
async def test_a_token_of_the_key_set(key: Any, algorithm: str) -> None:
    keys = Keys(_jwk("a", key), _jwk("b", RSA_KEY), _jwk("c", EC_KEY))
    signed = jwt.encode({"userId": str(USER), "exp": time.time() + 60}, key, algorithm, headers={"kid": "a"})
    assert (await _caller(signed, keys, jwt_secret=None, jwks_url="https://keys.example/jwks")).user_id == USER


async def test_an_algorithm_must_fit_the_key() -> None:
    signed = jwt.encode({"userId": str(USER), "exp": time.time() + 60}, EC_KEY, "ES256", headers={"kid": "a"})
    await _refused(signed, Keys(_jwk("a", RSA_KEY)))


async def test_a_key_for_encryption_signs_nothing() -> None:
    signed = jwt.encode({"userId": str(USER), "exp": time.time() + 60}, RSA_KEY, "RS256", headers={"kid": "a"})
    await _refused(signed, Keys(_jwk("a", use="enc"), _jwk("b")))


async def test_without_a_key_id_the_only_fitting_key_serves() -> None:
    signed = token(key=RSA_KEY, algorithm="RS256")
    assert (await _caller(signed, Keys(_jwk("a"), _jwk("e", EC_KEY)))).user_id == USER
    await _refused(signed, Keys(_jwk("a"), _jwk("b")))


async def test_many_callers_read_the_keys_once() -> None:
    keys = Keys(_jwk("a"))
    found = await asyncio.gather(*(keys.set.find("a", "RS256") for _ in range(50)))
    assert all(found)
    assert keys.asked == 1


async def test_unknown_keys_cause_few_readings() -> None:
    keys = Keys(_jwk("a"))
    for number in range(1000):
        assert await keys.set.find(f"unknown-{number}", "RS256") is None
        keys.now += 0.001
    assert keys.asked == 1
    keys.now += auth.KEYS_COOLDOWN
    assert await keys.set.find("unknown", "RS256") is None
    assert keys.asked == 2


async def test_a_new_key_is_found() -> None:
    keys = Keys(_jwk("a"))
    assert await keys.set.find("a", "RS256")
    keys.keys = [_jwk("b")]
    keys.now += auth.KEYS_COOLDOWN
    assert await keys.set.find("b", "RS256")
    assert await keys.set.find("a", "RS256") is None  # rotated out


async def test_old_keys_serve_while_new_ones_are_read() -> None:
    keys = Keys(_jwk("a"))
    assert await keys.set.find("a", "RS256")
    keys.now += auth.KEYS_FRESH + 1
    keys.keys = [_jwk("b")]
    assert await keys.set.find("a", "RS256")  # at once, while the reading goes on
    await _settled(lambda: keys.set._look_up("b", "RS256") is not None)
    assert await keys.set.find("a", "RS256") is None


async def test_old_keys_serve_while_the_address_is_away() -> None:
    keys = Keys(_jwk("a"))
    assert await keys.set.find("a", "RS256")
    keys.away = True
    for _ in range(20):
        keys.now += auth.KEYS_FRESH
        assert await keys.set.find("a", "RS256")
        await asyncio.sleep(0)
    assert keys.asked > 2


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": [{}]}', b'{"keys": 7}', b"\xff"])
async def test_what_is_no_key_set_changes_nothing(document: bytes) -> None:
    keys = Keys(_jwk("a"))
    assert await keys.set.find("a", "RS256")

    async def nonsense() -> bytes:
        return document

    keys.set._fetch = nonsense
    keys.now += auth.KEYS_COOLDOWN
    assert await keys.set.find("other", "RS256") is None
    assert await keys.set.find("a", "RS256")


async def test_no_keys_yet_is_a_503_and_not_a_401() -> None:
    keys = Keys(_jwk("a"))
    keys.away = True
    signed = jwt.encode({"userId": str(USER), "exp": time.time() + 60}, RSA_KEY, "RS256", headers={"kid": "a"})
    for _ in range(100):
        with pytest.raises(Problem) as caught:
            await _caller(signed, keys)
        assert caught.value.kind.status == 503
        assert "Retry-After" in caught.value.headers
    assert keys.asked == 1
    keys.away = False
    keys.now += auth.KEYS_COOLDOWN
    assert (await _caller(signed, keys)).user_id == USER


async def test_a_caller_who_gives_up_ends_nobody_elses_reading() -> None:
    keys = Keys(_jwk("a"))
    impatient = asyncio.create_task(keys.set.find("a", "RS256"))
    patient = asyncio.create_task(keys.set.find("a", "RS256"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient is not None


async def _settled(condition: Callable[[], bool]) -> None:
    for _ in range(100):
        await asyncio.sleep(0)
        if condition():
            return
    raise AssertionError("it did not come to pass")


def _signed(key: Any, algorithm: str, **header: Any) -> str:
    return jwt.encode({"userId": str(USER), "exp": time.time() + 60}, key, algorithm, headers=header)


async def test_the_algorithm_is_the_services_and_not_the_tokens_choice() -> None:
    for algorithm in (
        "HS384",
        "HS512",
        "RS384",
        "RS512",
        "PS256",
        "PS512",
        "ES384",
        "ES512",
        "EdDSA",
        "hs256",
        "rs256",
    ):
        claims = orjson.dumps({"userId": str(USER), "exp": int(time.time()) + 60})
        await _refused(_unsigned({"alg": algorithm, "kid": "a"}, claims), Keys(_jwk("a"), _jwk("a", EC_KEY)))
    assert (await _caller(_signed(RSA_KEY, "RS256", kid="a"), Keys(_jwk("a")))).user_id == USER
    await _refused(_signed(RSA_KEY, "RS512", kid="a"), Keys(_jwk("a")))


async def test_a_header_that_must_be_understood_is_not() -> None:
    for header in (
        {"crit": ["exp"], "exp": 1},
        {"crit": ["https://evil.example/x"], "https://evil.example/x": True},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": "b64"},
        {"crit": ["missing"]},
    ):
        await _refused(_signed(SECRET, "HS256", **header))


async def test_a_key_that_the_token_brings_along_is_not_used() -> None:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for header in ({"jwk": _jwk("a", own)}, {"jku": "http://127.0.0.1:1/"}, {"x5u": "http://127.0.0.1:1/"}):
        keys = Keys(_jwk("a"))
        await _refused(_signed(own, "RS256", kid="a", **header), keys)
        assert keys.asked == 1


async def test_a_key_id_is_a_name_and_nothing_else() -> None:
    keys = Keys(_jwk("a"))
    for kid in ("../../dev/null", "a' OR '1'='1", "a\x00", "A", "", "x" * 5000, [], {}, ["a"], 7, True):
        header = {"alg": "RS256", "kid": kid}
        await _refused(_unsigned(header, orjson.dumps({"userId": str(USER), "exp": int(time.time()) + 60})), keys)
    assert keys.asked <= 2


async def test_a_signature_is_needed_and_must_be_whole() -> None:
    good = token()
    head, claims, signature = good.split(".")
    for forged in (
        f"{head}.{claims}.",
        f"{head}.{claims}",
        f"{good}.",
        f"{good}.x",
        f"{head}.{claims}.{signature[:-4]}",
    ):
        await _refused(forged)
    other = token(UUID(int=7)).split(".")[1]
    await _refused(f"{head}.{other}.{signature}")


async def test_an_encrypted_token_is_none() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"dir","enc":"A256GCM","zip":"DEF"}').rstrip(b"=").decode()
    await _refused(f"{header}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA")


async def test_weak_keys_of_the_set_are_not_used() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.warns(InsecureKeyLengthWarning):
        signed = _signed(weak, "RS256", kid="weak")
    keys = Keys(_jwk("weak", weak), _jwk("a"))
    await _refused(signed, keys)
    assert (await _caller(_signed(RSA_KEY, "RS256", kid="a"), keys)).user_id == USER
    alone = Keys(_jwk("weak", weak))
    with pytest.raises(Problem) as caught:
        await _caller(signed, alone)
    assert caught.value.kind.status == 503


async def test_another_curve_is_no_es256() -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    public = json.loads(ECAlgorithm.to_jwk(other.public_key()))
    for more in ({}, {"alg": "ES256"}):
        keys = Keys(_jwk("a"), public | {"kid": "p384"} | more)
        await _refused(_signed(other, "ES384", kid="p384"), keys)
        claims = orjson.dumps({"userId": str(USER), "exp": int(time.time()) + 60})
        await _refused(_unsigned({"alg": "ES256", "kid": "p384"}, claims), keys)


@pytest.mark.parametrize("secret", ["", "short", "x" * 31])
def test_a_secret_that_is_too_short_starts_no_worker(secret: str) -> None:
    with pytest.raises(ValidationError, match="32 bytes"):
        make_settings(jwt_secret=secret)


@pytest.mark.parametrize(
    "claims",
    [{"aud": 7}, {"aud": [7]}, {"aud": {}}, {"iss": ["auth"]}, {"iss": 7}, {"iat": "x"}, {"nbf": "x"}, {"nbf": []}],
)
async def test_a_claim_of_another_type_is_refused_and_no_error_of_ours(claims: dict[str, Any]) -> None:
    named = {"userId": str(USER), "exp": int(time.time()) + 60, "aud": "training", "iss": "auth"}
    forged = _hmac(SECRET.encode(), {"alg": "HS256"}, named | claims)
    await _refused(forged, jwt_audience="training", jwt_issuer="auth")
    assert (await _caller(_hmac(SECRET.encode(), {"alg": "HS256"}, named), jwt_audience="training")).user_id == USER


def _hmac(secret: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    said = b".".join(base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in (header, claims))
    signature = base64.urlsafe_b64encode(hmac.digest(secret, said, hashlib.sha256)).rstrip(b"=")
    return (said + b"." + signature).decode()
