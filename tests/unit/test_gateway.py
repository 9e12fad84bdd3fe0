"""deploy/kong.yml, held to the API's description and to the service's settings: what can be known without a Kong."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from settings import Settings
from tests.support.web import make_settings
from web import openapi
from web.api import ALL_ROUTES, ROUTES
from web.auth import KEY_SET_ALGORITHMS
from web.server import _STREAM_PATIENCES

TEXT = (Path(__file__).parents[2] / "deploy" / "kong.yml").read_text("utf-8")
INSIDE = {"/", "/dashboard/operator"}  # pages that the gateway keeps from the public, like health and measures
# Of regular expressions only what means the same to Python as to Kong, which has them from Rust.
_SIMPLE = re.compile(r"(?:[\w/.-]|\\\.|\[\^?[\w/.-]+\]|\{\d+\}|[()|*+?])+")
ADDRESSES = {"{userId}": "01990000-0000-7000-8000-000000000001", "{name}": "Bench Press (Barbell)%2FPaused"}

# The fields of Kong's declarative format that the file has, as Kong's reference of each entity and plugin names them.
_COUNT = {"type": "integer", "minimum": 0}
_MILLISECONDS = {"type": "integer", "minimum": 1}


def _record(required: str = "", /, **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": required.split(), "additionalProperties": False}


def _list(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1, "uniqueItems": True}


def _plugin(name: str, required: str, /, **fields: Any) -> dict[str, Any]:
    return _record("name config", name={"const": name}, config=_record(required, **fields))


_NAMES = {"type": "array", "items": {"type": "string"}}
PLUGIN = {
    "oneOf": [
        _plugin(
            "jwt", "", key_claim_name={"type": "string"}, uri_param_names=_NAMES, cookie_names=_NAMES,
            claims_to_verify=_list({"enum": ["exp", "nbf"]}),
        ),
        _plugin(
            "rate-limiting", "minute", minute=_COUNT, limit_by={"enum": ["ip", "header"]},
            header_name={"type": "string"}, policy={"enum": ["local", "redis"]},
            hide_client_headers={"type": "boolean"},
        ),
        _plugin(
            "request-size-limiting", "", allowed_payload_size=_COUNT,
            size_unit={"enum": ["bytes", "kilobytes", "megabytes"]},
        ),
        _plugin(
            "correlation-id", "", header_name={"type": "string"}, echo_downstream={"type": "boolean"},
            generator={"enum": ["uuid", "uuid#counter", "tracker"]},
        ),
    ]
}  # fmt: skip
ROUTE = _record(
    "name paths",
    name={"type": "string", "pattern": r"^[\w.~-]+$"},
    protocols=_list({"enum": ["http", "https"]}),
    methods=_list({"type": "string", "pattern": "^[A-Z]+$"}),
    paths=_list({"type": "string", "pattern": "^(/|~/)"}),
    strip_path={"type": "boolean"},
    response_buffering={"type": "boolean"},
    plugins=_list(PLUGIN),
)
SERVICE = _record(
    "name host",
    name={"type": "string", "pattern": r"^[\w.~-]+$"},
    host={"type": "string", "pattern": r"^[\w.-]+$"},
    connect_timeout=_MILLISECONDS,
    write_timeout=_MILLISECONDS,
    read_timeout=_MILLISECONDS,
    retries=_COUNT,
    plugins=_list(PLUGIN),
    routes=_list(ROUTE),
)
_ACTIVE = _record(
    http_path={"type": "string", "pattern": "^/"},
    timeout=_COUNT,
    healthy=_record(interval=_COUNT, successes=_COUNT),
    unhealthy=_record(interval=_COUNT, http_failures=_COUNT, tcp_failures=_COUNT, timeouts=_COUNT),
)
SCHEMA = _record(
    "_format_version services",
    _format_version={"const": "3.0"},
    upstreams=_list(
        _record(
            "name targets",
            name={"type": "string", "pattern": r"^[\w.-]+$"},
            algorithm={"enum": ["round-robin", "least-connections", "consistent-hashing"]},
            targets=_list(_record("target", target={"type": "string", "pattern": r"^[\w.-]+:\d+$"})),
            healthchecks=_record(active=_ACTIVE),
        )
    ),
    consumers=_list(
        _record(
            "username",
            username={"type": "string"},
            jwt_secrets=_list(
                _record(
                    "key",
                    key={"type": "string"},
                    algorithm={"enum": ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256"]},
                    rsa_public_key={"type": "string"},
                )
            ),
        )
    ),
    services=_list(SERVICE),
)


@pytest.fixture(scope="module")
def kong() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(TEXT)
    return document


def routes(kong: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for service in kong["services"]:
        for route in service["routes"]:
            yield service, route


def found(kong: dict[str, Any], method: str, path: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every route that takes it, so that no priority decides. Kong anchors a regex (`~`) at its beginning."""
    return [
        (service, route)
        for service, route in routes(kong)
        if method in route["methods"] and any(_expression(text).match(path) for text in route["paths"])
    ]


def _expression(path: str) -> re.Pattern[str]:
    assert path.startswith("~")  # a prefix would let more in
    assert path.endswith("$")
    assert _SIMPLE.fullmatch(path[1:-1])
    return re.compile(path.removeprefix("~").removesuffix("$") + r"\Z")


def plugins(service: dict[str, Any], route: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is run for a route: its own before its service's."""
    return {plugin["name"]: plugin["config"] for owner in (service, route) for plugin in owner.get("plugins", [])}


def address(template: str) -> str:
    return re.sub(r"\{\w+\}", lambda match: ADDRESSES.get(match[0], "a-b.c~1"), template)


OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in openapi.document(ROUTES)["paths"].items()
    for method, operation in operations.items()
    if method != "parameters"
]
PUBLIC = [(method, path, operation) for method, path, operation in OPERATIONS if operation["tags"] != ["Operations"]]


def test_it_keeps_to_kongs_declarative_format(kong: dict[str, Any]) -> None:
    jsonschema.validate(kong, SCHEMA)
    for names in ([service["name"] for service in kong["services"]], [route["name"] for _, route in routes(kong)]):
        assert len(names) == len(set(names))
    assert {service["host"] for service in kong["services"]} == {upstream["name"] for upstream in kong["upstreams"]}
    for service, route in routes(kong):
        assert route["protocols"] == ["https"], "tokens go in clear over no network"
        assert route["strip_path"] is False
        for owner in (service, route):
            used = [plugin["name"] for plugin in owner.get("plugins", [])]
            assert len(used) == len(set(used))
        limit = plugins(service, route)["rate-limiting"]
        assert (limit["limit_by"] == "header") == ("header_name" in limit)


def test_the_structures_check_finds_a_wrong_field(kong: dict[str, Any]) -> None:
    wrong = yaml.safe_load(TEXT.replace("strip_path: false", "strip_paths: false", 1))
    with pytest.raises(jsonschema.ValidationError, match="strip_paths"):
        jsonschema.validate(wrong, SCHEMA)


def test_the_api_and_nothing_else_is_routed(kong: dict[str, Any]) -> None:
    """Word for word: each operation's method and path stands in one route, and nothing else does."""
    standing = sorted(
        (method, path)
        for _, route in routes(kong)
        if route["name"] not in {"training-pages", "training-preflights"}
        for path in route["paths"]
        for method in route["methods"]
        if method != "HEAD"
    )
    expected = sorted((method, "~" + re.sub(r"\{\w+\}", "[^/]+", path) + "$") for method, path, _ in PUBLIC)
    assert standing == expected


@pytest.mark.parametrize(("method", "path", "operation"), PUBLIC, ids=[item[2]["operationId"] for item in PUBLIC])
def test_every_operation_has_one_route_with_what_it_needs(
    kong: dict[str, Any], method: str, path: str, operation: dict[str, Any]
) -> None:
    ((service, route),) = found(kong, method, address(path))
    if method == "GET":
        assert found(kong, "HEAD", address(path)) == [(service, route)]
    assert [item[1]["name"] for item in found(kong, "OPTIONS", address(path))] == ["training-preflights"]
    used = plugins(service, route)
    assert ("jwt" in used) == (operation.get("security") != [])
    assert ("request-size-limiting" in used) == (method in {"POST", "PUT", "DELETE"})
    assert used["rate-limiting"]["limit_by"] == ("header" if "jwt" in used else "ip")
    assert (service["retries"] == 0) or method == "GET"
    described = next(item for item in ROUTES if (item.method, item.path) == (method, path))
    allowed = described.form_bytes or Settings.model_fields["max_body_bytes"].default
    assert used.get("request-size-limiting", {"allowed_payload_size": allowed})["allowed_payload_size"] == allowed


def described(method: str, path: str) -> bool:
    """Whether the API's description has it; HEAD goes with GET."""
    method = "GET" if method == "HEAD" else method
    return any(
        told == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) for told, template, _ in PUBLIC
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_an_address_is_routed_if_it_is_described(kong: dict[str, Any], method: str) -> None:
    for path in {address(template) for _, template, _ in PUBLIC}:
        for said in (
            path,
            f"{path}/",
            f"{path}/x/y/z",
            f"/x{path}",
            path.upper(),
            f"{path}\n",
            path.replace("/v1", "/v2"),
        ):
            assert len(found(kong, method, said)) == described(method, said), (method, said)


def test_health_and_measures_stay_inside(kong: dict[str, Any]) -> None:
    operations = [path for _, path, operation in OPERATIONS if operation["tags"] == ["Operations"]]
    assert {"/metrics", "/health/live", "/health/ready", "/health/pipeline"} <= set(operations)
    for path in (*operations, *INSIDE, "/api", "/api/v1", "/api/v2/trainings", "/health", "/dashboard/x/api.js"):
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            assert found(kong, method, path) == [], path
    (upstream,) = kong["upstreams"]
    assert upstream["healthchecks"]["active"]["http_path"] == "/health/ready"


def test_pages_are_public_and_the_operators_is_not(kong: dict[str, Any]) -> None:
    served = {route.path for route in ALL_ROUTES} - {route.path for route in ROUTES}
    routed = {path for path in served if found(kong, "GET", path)}
    assert served - routed == INSIDE
    for path in routed:
        ((service, route),) = found(kong, "GET", path)
        assert route["name"] == "training-pages"
        assert "jwt" not in plugins(service, route)
    (pages,) = [route for _, route in routes(kong) if route["name"] == "training-pages"]
    for text in pages["paths"]:
        assert any(_expression(text).match(path) for path in routed), f"{text} is of nothing"


def test_limits_are_the_services(kong: dict[str, Any]) -> None:
    """One minute of Kong's clock may lie over two of the database's, by which workers count."""
    settings = make_settings()
    services = {service["name"]: service for service in kong["services"]}
    rates = {"reads": settings.rate_reads, "streams": settings.rate_reads, "writes": settings.rate_writes}
    for name, rate in rates.items():
        (limit,) = [plugin for plugin in services[f"training-{name}"]["plugins"] if plugin["name"] == "rate-limiting"]
        assert limit["config"]["minute"] == 2 * rate
        assert limit["config"]["header_name"] == "authorization"
        assert limit["config"]["hide_client_headers"] is True  # a worker's own tell the user's exact limit


def test_timeouts_outlast_the_workers(kong: dict[str, Any]) -> None:
    settings = make_settings()
    patience = settings.web_patience * 1000
    # A statement waits for its connection, and may be run once more after another has changed the row.
    longest = (settings.pool_timeout + 2 * settings.statement_timeout) * 1000
    for service, route in routes(kong):
        stream = route["name"] == "training-streams"
        assert service["write_timeout"] == patience
        assert service["read_timeout"] == (patience * _STREAM_PATIENCES if stream else patience) > longest
        assert route.get("response_buffering", True) is not stream


def test_tokens_are_checked_as_the_service_does(kong: dict[str, Any]) -> None:
    used = [plugins(service, route) for service, route in routes(kong)]
    configs = [configs["jwt"] for configs in used if "jwt" in configs]
    assert configs
    for config in configs:
        assert config["key_claim_name"] == "kid"  # as a key set names its keys
        assert config["claims_to_verify"] == ["exp"]  # what the service requires
        assert config["uri_param_names"] == config["cookie_names"] == []  # it reads the header Authorization alone
    for consumer in kong["consumers"]:
        for credential in consumer["jwt_secrets"]:
            assert credential["algorithm"] in KEY_SET_ALGORITHMS
            key = load_pem_public_key(credential["rsa_public_key"].encode())
            assert isinstance(key, EllipticCurvePublicKey)
            assert isinstance(key.curve, SECP256R1)
    assert "PRIVATE" not in TEXT
    assert "secret:" not in TEXT


def test_a_request_has_one_id(kong: dict[str, Any]) -> None:
    for service, route in routes(kong):
        config = plugins(service, route)["correlation-id"]
        assert config["header_name"] == "X-Request-Id"
        assert config["generator"] == "uuid"  # the others' have characters that a worker refuses
        assert config["echo_downstream"] is False  # or a malformed id of the client would hide the worker's own
