"""TLS and SASL on Apache Kafka: what a broker demands is shown, and what was rotated is used, without a restart."""

import asyncio
import base64
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import pytest
from aiokafka.abc import AbstractTokenProvider
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from embedded.worker import Worker
from kafka_access import KafkaAccess
from tests.kafka.test_whole_service import call, command, flows, folded, topic_of
from tests.support.bodies import squat
from tests.support.brokers import KafkaAddress, dispose, new_folder
from tests.support.certificates import Authority, Certificate
from tests.support.databases import DatabaseUrls
from tests.support.kafka import Kafka, Listener
from tests.support.load import until
from tests.support.proxy import Proxy
from tests.support.topic import read_topic
from tests.support.web import make_settings

pytestmark = pytest.mark.kafka

PASSWORD = "p=ss w%rd"
SESSION = 3.0  # seconds that the broker keeps a connection that came with a token
LIFE = 3600.0  # seconds that a token lives, but where a test wants it renewed


def unsecured(subject: str, *, seconds: float) -> str:
    """A token that says who it is for, and is signed by nobody (RFC 7515, appendix A.5)."""
    now = time.time() - 1  # a broker refuses what was issued after its own clock, which counts in whole ms
    parts = [{"alg": "none"}, {"sub": subject, "iat": now, "exp": now + seconds}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


class TokenEndpoint:
    """Gives tokens for the client credentials `relay+1`, `top:secret` and the scope `kafka`; a context manager."""

    CLIENT, SECRET, SCOPE = "relay+1", "top:secret", "kafka"

    def __init__(self) -> None:
        self.life = LIFE  # seconds
        self.token: str | None = None  # given instead of a good one
        self.given = 0
        self.refused = 0
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                login = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
                good = form == {"grant_type": ["client_credentials"], "scope": [endpoint.SCOPE]}
                if good and login == "relay%2B1:top%3Asecret":
                    endpoint.given += 1
                    token = endpoint.token or unsecured("training", seconds=endpoint.life)
                    self._answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": endpoint.life})
                else:
                    endpoint.refused += 1
                    self._answer(401, {"error": "invalid_client"})

            def _answer(self, status: int, document: Mapping[str, object]) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"

    def __enter__(self) -> "TokenEndpoint":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Secured:
    """A broker with a plain listener for the tests, and one for each way to protect it."""

    server: Kafka
    authority: Authority
    client: Certificate
    folder: Path
    proxy: Proxy  # before the listener SCRAM
    endpoint: TokenEndpoint
    listeners: dict[str, Listener] = field(default_factory=dict)

    def file(self, content: str) -> Path:
        path = self.folder / f"secret-{uuid4().hex[:8]}"
        path.write_text(content + "\n")
        return path

    def set_password(self, mechanism: str, password: str) -> None:
        change = f"{mechanism}=[iterations=4096,password={password}]"
        self.server.tool(
            *("kafka.admin.ConfigCommand", "--alter", "--add-config", change),
            *("--entity-type", "users", "--entity-name", "training"),
        )

    def settings(self, way: str) -> dict[str, Any]:
        """Settings of a worker that is let in."""
        ca = {"kafka_ssl_ca_file": self.authority.ca}
        if way == "MTLS":
            files = {"kafka_ssl_cert_file": self.client.cert, "kafka_ssl_key_file": self.client.key}
            return {"kafka_security_protocol": "SSL"} | ca | files
        if way == "OAUTH":
            return ca | {
                "kafka_security_protocol": "SASL_SSL",
                "kafka_sasl_mechanism": "OAUTHBEARER",
                "kafka_sasl_oauthbearer_token_endpoint_url": self.endpoint.url,
                "kafka_sasl_oauthbearer_client_id": self.endpoint.CLIENT,
                "kafka_sasl_oauthbearer_client_secret_file": self.file(self.endpoint.SECRET),
                "kafka_sasl_oauthbearer_scope": self.endpoint.SCOPE,
            }
        plain = way == "PLAIN"
        return ({} if plain else ca) | {
            "kafka_security_protocol": "SASL_PLAINTEXT" if plain else "SASL_SSL",
            "kafka_sasl_mechanism": "PLAIN" if plain else "SCRAM-SHA-512",
            "kafka_sasl_username": "training",
            "kafka_sasl_password_file": self.file(PASSWORD),
        }

    def outside(self, way: str) -> dict[str, Any]:
        """Options of an aiokafka client that has nothing of this service, and is let in."""
        context = ssl.create_default_context(cafile=str(self.authority.ca))
        if way == "MTLS":
            context.load_cert_chain(self.client.both)
            return {"security_protocol": "SSL", "ssl_context": context}
        options = {"security_protocol": "SASL_SSL", "ssl_context": context}
        if way == "OAUTH":
            return options | {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": Outside()}
        user = {"sasl_plain_username": "training", "sasl_plain_password": PASSWORD}
        return options | {"sasl_mechanism": "SCRAM-SHA-512"} | user


class Outside(AbstractTokenProvider):
    async def token(self) -> str:
        return unsecured("somebody else", seconds=60)


@pytest.fixture(scope="module")
def secured(server_folder: Path) -> Iterator[Secured]:
    folder = new_folder(server_folder, "secured")
    authority = Authority(folder)
    with Proxy() as proxy, TokenEndpoint() as endpoint:
        security = "org.apache.kafka.common.security"
        plain = f'{security}.plain.PlainLoginModule required user_training="{PASSWORD}";'
        oauth = f'{security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
        ways = [
            Listener(
                "SCRAM",
                "SASL_SSL",
                {
                    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
                    "scram-sha-512.sasl.jaas.config": f"{security}.scram.ScramLoginModule required;",
                },
                advertised=proxy.port,
            ),
            Listener("MTLS", "SSL", {"ssl.client.auth": "required"}),
            Listener(
                "OAUTH",
                "SASL_SSL",
                {
                    "sasl.enabled.mechanisms": "OAUTHBEARER",
                    "oauthbearer.sasl.jaas.config": oauth,
                    "oauthbearer.connections.max.reauth.ms": str(int(SESSION * 1000)),
                },
            ),
            Listener("PLAIN", "SASL_PLAINTEXT", {"sasl.enabled.mechanisms": "PLAIN", "plain.sasl.jaas.config": plain}),
        ]
        stores = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(authority.issue("broker").both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.ca),
        }
        server = Kafka(folder, listeners=ways, more=stores)
        server.start(timeout=120)
        proxy.target = ways[0].port
        listeners = {way.name: way for way in ways}
        found = Secured(server, authority, authority.issue("client"), folder, proxy, endpoint, listeners)
        found.set_password("SCRAM-SHA-512", PASSWORD)
        yield found
        dispose(server)


@pytest.fixture(scope="module")
def broker(secured: Secured) -> KafkaAddress:
    """This one, instead of the one that tests share."""
    return KafkaAddress(secured.server.bootstrap, idempotent=True)


@pytest.fixture
def start(start_worker: Callable[..., Worker], secured: Secured) -> Callable[..., Worker]:
    """`start(way, **settings)` starts a worker whose Kafka is the secured broker, by that way."""

    def start(way: str, **settings: object) -> Worker:
        kafka = KafkaAddress(secured.listeners[way].bootstrap, idempotent=True)
        return start_worker(kafka=kafka, **secured.settings(way) | settings)

    return start


async def post(worker: Worker, user: str) -> None:
    body = {"date": "2026-01-05T12:00:00Z", "status": "COMPLETED", "exercises": [squat(sets=2)]}
    status, answer = await call(worker, "POST", "/api/v1/trainings", user, json=body)
    assert status == 201, answer


@pytest.mark.parametrize("way", ["SCRAM", "MTLS", "OAUTH"])
async def test_events_flow_and_are_folded(
    start: Callable[..., Worker],
    secured: Secured,
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    user = str(uuid4())
    monkeypatch.setattr(secured.endpoint, "life", SESSION)
    worker = await asyncio.to_thread(start, way)
    given = secured.endpoint.given
    await post(worker, user)
    await until(lambda: folded(database_urls), 60, "folded")
    if (
        way == "OAUTH"
    ):  # the broker ends every connection when its time is over, and each begins anew with another token
        await until(lambda: secured.endpoint.given >= given + 3, 60, "tokens were renewed")
        await post(worker, user)
        await until(lambda: folded(database_urls), 60, "folded by connections that came later")
    await until(lambda: flows(worker), 60, "all is well")
    topics = [topic_of(worker)]
    if way == "SCRAM":
        replay = await asyncio.to_thread(command, worker, "outbox", "replay", "--user", user)
        assert replay.returncode == 0, replay.stderr
        topics.append(f"{topic_of(worker)}.replay")
        assert (await first_of_the_command_events(worker))["key"] == user
    for topic in topics:
        records = await read_topic(secured.listeners[way].bootstrap, topic, **secured.outside(way))
        assert {record.key for record in records} == {user.encode()}
        assert len({record.event_id for record in records}) == (2 if way == "OAUTH" else 1)


async def first_of_the_command_events(worker: Worker) -> dict[str, Any]:
    """The first record that `training events` shows."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "events", "--from-beginning"),
        env=dict(worker.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        found: dict[str, Any] = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        return found
    finally:
        process.kill()
        await process.wait()


def reasons(worker: Worker) -> dict[str, str]:
    """What /health/pipeline finds not to be well; nothing where it does not answer in time."""
    status, body = worker.get("/health/pipeline")
    return {each["part"]: each["reason"] for each in json.loads(body)["reasons"]} if status else {}


async def test_a_wrong_password_and_a_rotated_one_heal_without_a_restart(
    start: Callable[..., Worker], secured: Secured, database_urls: DatabaseUrls
) -> None:
    user, secret = str(uuid4()), secured.file("wrong")
    worker = await asyncio.to_thread(start, "SCRAM", kafka_sasl_password_file=secret, relay_ack_timeout=2)
    pid = worker.pid

    async def refused(*parts: str) -> None:
        await post(worker, user)
        for part in parts:
            await until(lambda part=part: "SaslAuthenticationFailed" in reasons(worker).get(part, ""), 60, part)
        await until(worker.ready, 10, "REST is served")
        assert not folded(database_urls)

    await refused("relay", "volume")
    secret.write_text(PASSWORD)
    await until(lambda: folded(database_urls) and flows(worker), 60, "healed")
    # Since the topic is new, the log is folded once: that must not meet the event that Kafka is not given below.
    await until(lambda: "events from the log" in worker.log.read_text(), 60, "the fold from the log is over")

    await asyncio.to_thread(secured.set_password, "SCRAM-SHA-512", "another")
    try:
        secured.proxy.cut()
        await refused("relay")
        secret.write_text("another")
        await until(lambda: folded(database_urls) and flows(worker), 60, "healed")
        assert worker.pid == pid
        assert PASSWORD not in worker.log.read_text()
    finally:
        await asyncio.to_thread(secured.set_password, "SCRAM-SHA-512", PASSWORD)


async def attempt(bootstrap: str, access: KafkaAccess) -> str | None:
    """Why a client that shows this is not let in; None when it is."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **access.options)
    loop: Any = asyncio.get_running_loop()
    watched = loop._selector.get_map()
    before = len(watched)
    try:
        await client.start()
    except KafkaConnectionError as error:
        return str(access.explain(error))
    finally:
        await client.close()
        # The end of TLS takes several turns of the loop, and of the broker; the loop must outlive it.
        await until(lambda: len(watched) <= before, 40, "the connections are closed")
        await asyncio.sleep(0)
    return None


async def let_in(bootstrap: str, access: KafkaAccess) -> None:
    """Wait until a client that shows this is: the broker may end a connection amid it, whose `SESSION` is over."""

    async def tried() -> bool:
        return await attempt(bootstrap, access) is None

    await until(tried, 30, f"a client is let in at {bootstrap}")


async def test_who_is_let_in_and_who_is_told_why_not(secured: Secured, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    cases: list[tuple[str, dict[str, Any], str | None]] = [
        ("PLAIN", {}, None),
        ("PLAIN", {"kafka_sasl_password_file": secured.file("wrong")}, "SaslAuthenticationFailed"),
        ("PLAIN", {"kafka_sasl_password_file": tmp_path / "none"}, f"No such file or directory: '{tmp_path / 'none'}'"),
        ("PLAIN", {"kafka_sasl_mechanism": "SCRAM-SHA-256"}, "UnsupportedSaslMechanism"),
        ("SCRAM", {"kafka_ssl_ca_file": stranger.ca}, "CERTIFICATE_VERIFY_FAILED"),
        ("SCRAM", {"kafka_ssl_ca_file": None}, "CERTIFICATE_VERIFY_FAILED"),
        ("SCRAM", {"kafka_sasl_username": "nobody"}, "SaslAuthenticationFailed"),
        ("MTLS", {"kafka_ssl_cert_file": secured.client.both, "kafka_ssl_key_file": None}, None),
        ("MTLS", {"kafka_ssl_cert_file": stranger.issue("x").both, "kafka_ssl_key_file": None}, "Connection at"),
        ("MTLS", {"kafka_ssl_cert_file": None, "kafka_ssl_key_file": None}, "Connection at"),
        ("MTLS", {"kafka_ssl_cert_file": tmp_path / "none"}, str(tmp_path / "none")),
        ("OAUTH", {"kafka_sasl_oauthbearer_client_secret_file": secured.file("wrong")}, "401"),
        ("OAUTH", {"kafka_sasl_oauthbearer_token_endpoint_url": "http://127.0.0.1:1/token"}, "no token from"),
        ("OAUTH", {}, None),
    ]
    for way, changes, expected in cases:
        access = KafkaAccess.of(make_settings(**secured.settings(way) | changes))
        bootstrap = secured.listeners[way].bootstrap
        if expected is None:
            await let_in(bootstrap, access)
        else:
            reason = await attempt(bootstrap, access)
            assert expected in (reason or ""), (way, changes, reason)


async def test_certificates_are_read_at_every_connection(secured: Secured, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    ca, cert = tmp_path / "ca.pem", tmp_path / "cert.pem"
    files = {"kafka_ssl_ca_file": ca, "kafka_ssl_cert_file": cert, "kafka_ssl_key_file": None}
    access = KafkaAccess.of(make_settings(**secured.settings("MTLS") | files))
    for trusted, shown, expected in (
        (stranger.ca, secured.client.both, "CERTIFICATE_VERIFY_FAILED"),
        (secured.authority.ca, stranger.issue("x").both, "Connection at"),
        (secured.authority.ca, secured.client.both, None),
    ):
        ca.write_bytes(trusted.read_bytes())
        cert.write_bytes(shown.read_bytes())
        reason = await attempt(secured.listeners["MTLS"].bootstrap, access)
        assert reason is None if expected is None else expected in (reason or "")


async def test_a_token_that_the_broker_refuses_is_told_and_not_kept(secured: Secured) -> None:
    access, bootstrap = KafkaAccess.of(make_settings(**secured.settings("OAUTH"))), secured.listeners["OAUTH"].bootstrap
    secured.endpoint.token = unsecured("training", seconds=-3600)
    try:
        assert "invalid_token" in (await attempt(bootstrap, access) or "")
        secured.endpoint.token = None
        await let_in(bootstrap, access)
        given = secured.endpoint.given
        await let_in(bootstrap, access)
        assert secured.endpoint.given == given  # one token serves many connections
    finally:
        secured.endpoint.token = None
