"""What is shown to Kafka's brokers: settings that fit together, secrets read anew, tokens asked for in time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka.errors import KafkaError, SaslAuthenticationFailed
from pydantic import ValidationError

import kafka_access as module
from kafka_access import ClientCredentials, KafkaAccess
from tests.support.web import make_settings

OAUTH = "kafka_sasl_oauthbearer"
USER = {"kafka_sasl_username": "u", "kafka_sasl_password_file": "p"}
CLIENT = {f"{OAUTH}_token_endpoint_url": "https://a/b", f"{OAUTH}_client_id": "c", f"{OAUTH}_client_secret_file": "s"}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"kafka_security_protocol": "SSL"},
        {"kafka_security_protocol": "SSL", "kafka_ssl_ca_file": "a", "kafka_ssl_cert_file": "c"},
        {"kafka_security_protocol": "SSL", "kafka_ssl_cert_file": "c", "kafka_ssl_key_file": "k"},
        {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_mechanism": "PLAIN", **USER},
        {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "SCRAM-SHA-256", **USER},
        {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER", **CLIENT},
        {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER", **CLIENT, f"{OAUTH}_scope": "x"},
    ],
)
def test_settings_that_fit_together(given: dict[str, str]) -> None:
    assert KafkaAccess.of(make_settings(**given)).options["security_protocol"] == given.get(
        "kafka_security_protocol", "PLAINTEXT"
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"kafka_ssl_ca_file": "a"}, "KAFKA_SSL_CA_FILE means nothing"),
        ({"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_ssl_cert_file": "c"}, "KAFKA_SASL_MECHANISM is needed"),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_key_file": "k"}, "KAFKA_SSL_CERT_FILE is needed"),
        ({"kafka_security_protocol": "SSL", "kafka_sasl_mechanism": "PLAIN"}, "KAFKA_SASL_MECHANISM means nothing"),
        ({"kafka_security_protocol": "SASL_SSL"}, "KAFKA_SASL_MECHANISM is needed"),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "u"},
            "KAFKA_SASL_PASSWORD_FILE is needed with TRAINING_KAFKA_SECURITY_PROTOCOL=SASL_SSL and PLAIN",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "PLAIN", **USER, f"{OAUTH}_scope": "x"},
            "KAFKA_SASL_OAUTHBEARER_SCOPE means nothing",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER", **CLIENT, **USER},
            "KAFKA_SASL_PASSWORD_FILE means nothing",
        ),
        ({"kafka_security_protocol": "TLS"}, "pattern"),
        ({"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "GSSAPI"}, "pattern"),
    ],
)
def test_settings_that_do_not_are_refused_by_name(given: dict[str, str], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        make_settings(**given)


URLS = ("jwks_url", f"{OAUTH}_token_endpoint_url")


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("host", ["keys.example", "10.0.0.1:80", "localhost.example", "127.0.0.1.example", "[::2]"])
def test_secrets_and_keys_go_in_clear_over_no_network(name: str, host: str) -> None:
    oauth = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER", **CLIENT}
    make_settings(**oauth | {name: f"https://{host}/there"})
    with pytest.raises(ValidationError, match=rf"(?s){name}\n.*must begin with https://"):
        make_settings(**oauth | {name: f"http://{host}/there"})


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("host", ["127.0.0.1:80", "127.1.2.3", "LOCALHOST", "[::1]:80"])
def test_on_this_machine_they_may(name: str, host: str) -> None:
    oauth = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER", **CLIENT}
    assert getattr(make_settings(**oauth | {name: f"http://{host}/there"}), name).path == "/there"


@pytest.mark.parametrize("user", ["user:hunter2@", "user@", ":hunter2@"])
def test_the_token_endpoint_s_address_holds_no_secret(user: str) -> None:
    with pytest.raises(ValidationError, match=r"(?s)token_endpoint_url\n.*must hold no user") as caught:
        make_settings(**{f"{OAUTH}_token_endpoint_url": f"https://{user}keys.example/there"})
    assert "hunter2" not in str(caught.value)


@dataclass
class Plan:
    """What comes next, in order, and what was shown to get it."""

    answers: list[Any] = field(default_factory=list)
    shown: list[Any] = field(default_factory=list)


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Stands in for them: an answer is an error, or the connection."""
    plan = Plan()

    async def create_conn(host: str, port: int, **options: Any) -> object:
        plan.shown.append(options)
        answer = plan.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(module, "create_conn", create_conn)
    return plan


async def test_the_password_is_read_at_every_connection(brokers: Plan, tmp_path: Path) -> None:
    brokers.answers += ["first connection", "second connection"]
    secret = tmp_path / "secret"
    access = KafkaAccess(security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN", sasl_password_file=secret)
    with pytest.raises(OSError, match="No such file"):
        await access.connect("a", 1)
    assert "No such file" in (access.refused or "")
    for content, password in ((" one\n", " one"), ("two", "two")):
        secret.write_text(content)
        await access.connect("a", 1)
        assert brokers.shown[-1]["sasl_plain_password"] == password
        assert access.refused is None


@pytest.mark.parametrize("name", ["ssl_ca_file", "sasl_password_file"])
async def test_what_is_no_text_is_not_told(brokers: Plan, tmp_path: Path, name: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hunter\xe4")
    access = KafkaAccess(security_protocol="SASL_SSL", sasl_mechanism="PLAIN", **{name: path})  # type: ignore[arg-type]
    with pytest.raises(OSError, match="not UTF-8") as caught:
        await access.connect("a", 1)
    assert str(caught.value) == f"{path}: not UTF-8"
    assert caught.value.__cause__ is None
    assert access.refused == f"a:1: {path}: not UTF-8"


async def test_what_cannot_be_sent_is_not_told(brokers: Plan) -> None:
    access = KafkaAccess()
    brokers.answers.append(UnicodeEncodeError("utf-8", "hunter\ud800", 6, 7, "surrogates not allowed"))
    with pytest.raises(KafkaError) as caught:
        await access.connect("a", 1)
    assert str(caught.value) == "KafkaError: UnicodeEncodeError"
    assert access.refused == "a:1: UnicodeEncodeError"


async def test_no_authorities_are_not_all_of_the_systems(brokers: Plan, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.touch()
    access = KafkaAccess(security_protocol="SSL", ssl_ca_file=path)
    with pytest.raises(OSError, match="empty") as caught:
        await access.connect("a", 1)
    assert str(caught.value) == f"{path}: empty"


async def test_whatever_fails_is_an_error_that_aiokafka_outlives(brokers: Plan) -> None:
    brokers.answers += [ValueError("Server sent wrong signature!"), TimeoutError(), KafkaError("as it is")]
    access = KafkaAccess()
    with pytest.raises(KafkaError, match="wrong signature"):
        await access.connect("a", 1)
    with pytest.raises(TimeoutError):
        await access.connect("a", 1)
    assert access.refused == "a:1: TimeoutError"
    with pytest.raises(KafkaError, match="as it is"):
        await access.connect("a", 1)
    assert str(access.explain(KafkaError("away"))) == "KafkaConnectionError: a:1: KafkaError: as it is"


@dataclass
class Endpoint(Plan):
    """A token endpoint, and who asks it. An answer is a JSON document, or whole."""

    credentials: ClientCredentials = field(init=False)


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
    plan = Endpoint()

    async def give(request: web.Request) -> web.Response:
        plan.shown.append(request.headers["Authorization"])
        answer = plan.answers.pop(0)
        return answer if isinstance(answer, web.Response) else web.json_response(answer)

    app = web.Application()
    app.router.add_post("/token", give)
    secret = tmp_path / "secret"
    secret.write_text("s\n")
    async with TestServer(app) as server:
        plan.credentials = ClientCredentials(str(server.make_url("/token")), "c", secret)
        yield plan


async def test_a_token_serves_until_it_nears_its_end(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = endpoint.credentials
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    endpoint.answers += [{"access_token": name, "expires_in": 100} for name in ("one", "two", "three")]
    assert await asyncio.gather(credentials.token(), credentials.token()) == ["one", "one"]
    now += 79
    assert await credentials.token() == "one"
    now += 2
    assert await credentials.token() == "two"
    credentials.forget()
    assert await credentials.token() == "three"
    assert endpoint.shown == ["Basic Yzpz"] * 3  # c:s


async def test_a_token_of_unknown_life_serves_once(endpoint: Endpoint) -> None:
    endpoint.answers += [{"access_token": "one"}, {"access_token": "two"}]
    assert [await endpoint.credentials.token() for _ in range(2)] == ["one", "two"]


@pytest.mark.parametrize("answer", [{}, [], None, {"access_token": "x", "expires_in": "soon"}])
async def test_an_answer_that_is_no_token(endpoint: Endpoint, answer: object) -> None:
    endpoint.answers.append(answer)
    with pytest.raises(KafkaError, match="no token from"):
        await endpoint.credentials.token()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (web.Response(status=401), "ClientResponseError: 401, message='Unauthorized'"),
        (web.Response(body=b'"hunter\xe4"', content_type="application/json", charset="utf-8"), "UnicodeDecodeError"),
    ],
)
async def test_no_secret_is_told_when_no_token_comes(endpoint: Endpoint, answer: web.Response, said: str) -> None:
    endpoint.answers.append(answer)
    with pytest.raises(KafkaError) as caught:
        await endpoint.credentials.token()
    assert f": {said}" in str(caught.value)
    for secret in (endpoint.shown[0], "hunter", r"\xe4"):
        assert secret not in str(caught.value)


async def test_a_token_that_was_refused_is_asked_for_anew(brokers: Plan, tmp_path: Path) -> None:
    forgotten = []

    class Credentials(ClientCredentials):
        def forget(self) -> None:
            forgotten.append(True)

    access = KafkaAccess(sasl_mechanism="OAUTHBEARER", oauth=Credentials("http://nowhere", "c", tmp_path / "s"))
    brokers.answers += [KafkaError("away"), SaslAuthenticationFailed("no")]
    for _ in range(2):
        with pytest.raises(KafkaError):
            await access.connect("a", 1)
    assert forgotten == [True]
