"""How Kafka's brokers are reached: TLS and SASL as the settings say, with secrets that every connection reads anew."""

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import aiokafka.client
import aiokafka.conn
from aiohttp import ClientError, ClientSession, ClientTimeout, encode_basic_auth
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator, create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError, SaslAuthenticationFailed

from settings import Settings

TOKEN_TIMEOUT = 5.0  # seconds that the token endpoint may take
TOKEN_LIFE = 0.8  # of a token's life, after which another one is asked for


class KafkaAccess:
    """What the clients of one event loop show to the brokers.

    Guarantees: the files with certificates, keys and secrets are read at every connection, so that what was rotated, or
    put right, is used by the next one without a restart; a connection that cannot be made, for whatever reason, is an
    error that aiokafka's clients outlive. Arguments are the settings `kafka_…` of that name.
    """

    def __init__(
        self,
        *,
        security_protocol: str = "PLAINTEXT",
        ssl_ca_file: Path | None = None,
        ssl_cert_file: Path | None = None,
        ssl_key_file: Path | None = None,
        sasl_mechanism: str | None = None,
        sasl_username: str | None = None,
        sasl_password_file: Path | None = None,
        oauth: "ClientCredentials | None" = None,
    ) -> None:
        self._tls = security_protocol.endswith("SSL")
        self._ca, self._cert, self._key = ssl_ca_file, ssl_cert_file, ssl_key_file
        self._password_file = sasl_password_file
        self._oauth = oauth
        self.refused: str | None = None  # why the newest connection could not be made; None when it was
        # aiokafka's clients keep a password and a TLS context for life. They hand this object on to `_connect` instead.
        self.options: dict[str, Any] = {
            "security_protocol": security_protocol,
            "ssl_context": self,
            "sasl_mechanism": sasl_mechanism or "PLAIN",
            "sasl_plain_username": sasl_username or "",
            "sasl_plain_password": "",
            "sasl_oauth_token_provider": oauth,
        }

    @classmethod
    def of(cls, settings: Settings) -> "KafkaAccess":
        """As the settings say. Clients on different event loops need one each."""
        oauth = None
        if settings.kafka_sasl_mechanism == "OAUTHBEARER":
            oauth = ClientCredentials(
                str(settings.kafka_sasl_oauthbearer_token_endpoint_url),
                str(settings.kafka_sasl_oauthbearer_client_id),
                Path(settings.kafka_sasl_oauthbearer_client_secret_file or ""),
                settings.kafka_sasl_oauthbearer_scope,
            )
        return cls(
            security_protocol=settings.kafka_security_protocol,
            ssl_ca_file=settings.kafka_ssl_ca_file,
            ssl_cert_file=settings.kafka_ssl_cert_file,
            ssl_key_file=settings.kafka_ssl_key_file,
            sasl_mechanism=settings.kafka_sasl_mechanism,
            sasl_username=settings.kafka_sasl_username,
            sasl_password_file=settings.kafka_sasl_password_file,
            oauth=oauth,
        )

    def explain(self, error: KafkaError) -> KafkaError:
        """`error`, or why no broker lets this client in, where that is so: aiokafka only logs it."""
        return error if self.refused is None else KafkaConnectionError(self.refused)

    async def connect(self, host: str, port: int, **options: Any) -> AIOKafkaConnection:
        """A connection to a broker, with what the files say now. Raises `KafkaError`, `OSError` and `TimeoutError`."""
        try:
            options |= {"ssl_context": self._context(), "sasl_plain_password": self._password()}
            connection: AIOKafkaConnection = await create_conn(host, port, **options)
        except Exception as error:
            if self._oauth is not None and isinstance(error, SaslAuthenticationFailed):
                self._oauth.forget()
            known = isinstance(error, (KafkaError, OSError, TimeoutError))
            self.refused = f"{host}:{port}: {(known and str(error)) or _said(error)}"
            if known:
                raise
            # What SCRAM's arithmetic raises: a task of aiokafka's that meets another error ends for good.
            raise KafkaError(_said(error)) from error
        self.refused = None
        return connection

    def _password(self) -> str:
        return "" if self._password_file is None else _secret(self._password_file)

    def _context(self) -> ssl.SSLContext | None:
        if not self._tls:
            return None
        authorities = None if self._ca is None else _read(self._ca)
        if authorities == "":  # which `ssl` takes for none given, and so for the system's
            raise OSError(f"{self._ca}: empty")
        context = ssl.create_default_context(cadata=authorities)
        if self._cert is not None:
            try:
                # Without a password OpenSSL would ask for an encrypted key's on the terminal.
                context.load_cert_chain(self._cert, self._key, password="")
            except OSError as error:
                raise OSError(f"{self._cert}: {error}") from error
        return context


class ClientCredentials(AbstractTokenProvider):
    """Tokens for OAUTHBEARER by OAuth's client credentials (RFC 6749, 4.4); one serves until it nears its end.

    `secret` is a file, read whenever a token is asked for. A token without `expires_in` is used once.
    """

    def __init__(self, url: str, client_id: str, secret: Path, scope: str | None = None) -> None:
        self._url = url
        self._client_id = client_id
        self._secret = secret
        self._form = {"grant_type": "client_credentials"} | ({} if scope is None else {"scope": scope})
        self._token = ""
        self._until = float("-inf")
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """A token that is valid for a while. Raises `KafkaError`, `OSError` and `TimeoutError`."""
        async with self._asking:
            now = time.monotonic()
            if now >= self._until:
                self._token, life = await self._ask()
                self._until = now + life * TOKEN_LIFE
            return self._token

    def forget(self) -> None:
        """Ask for another token next time: a broker refused this one."""
        self._until = float("-inf")

    async def _ask(self) -> tuple[str, float]:
        # Form-encoded first, as RFC 6749, 2.3.1 has it.
        login = encode_basic_auth(quote_plus(self._client_id), quote_plus(_secret(self._secret)))
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=TOKEN_TIMEOUT), raise_for_status=True) as session,
                session.post(
                    self._url, data=self._form, headers={"Authorization": login}, allow_redirects=False
                ) as answer,
            ):
                document = await answer.json(content_type=None)
                return str(document["access_token"]), float(document.get("expires_in") or 0)
        except (ClientError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise KafkaError(f"no token from {self._url}: {_said(error)}") from error


class _OAuth(OAuthAuthenticator):
    """aiokafka's (conn.py, 0.14), which takes a refusal, an answer with a text (RFC 7628, 3.2.2), for a welcome."""

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if payload:
            raise SaslAuthenticationFailed(payload.decode(errors="replace"))
        found: tuple[bytes, bool] | None = await super().step(payload)  # type: ignore[no-untyped-call]
        return found


async def _connect(host: str, port: int, *, ssl_context: Any = None, **options: Any) -> AIOKafkaConnection:
    if isinstance(ssl_context, KafkaAccess):
        return await ssl_context.connect(host, port, **options)
    connection: AIOKafkaConnection = await create_conn(host, port, ssl_context=ssl_context, **options)
    return connection


def _secret(path: Path) -> str:
    return _read(path).rstrip("\r\n")  # an editor's, or `echo`'s


def _read(path: Path) -> str:
    """The text of a file. Raises `OSError`, also for what is no UTF-8: Python's error would hold all that was read."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise OSError(f"{path}: not UTF-8") from None


def _said(error: Exception) -> str:
    """`error` for a log. Not its `repr`: that holds a request's headers, or the text that could not be coded."""
    text = "" if isinstance(error, UnicodeError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


aiokafka.client.create_conn = _connect  # type: ignore[attr-defined]
aiokafka.conn.OAuthAuthenticator = _OAuth  # type: ignore[misc]
