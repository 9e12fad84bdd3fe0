"""What `make release` builds: a wheel that runs on its own, and a bill of materials of every locked package."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from release.__main__ import main
from tests.support.databases import Databases
from tests.support.worker import JWT_SECRET

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    assert main(["--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment that has the wheel, and its dependencies from this one; no index is asked."""
    environment = tmp_path_factory.mktemp("installed")
    (wheel,) = dist.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True)
    (folder,) = environment.glob("lib/python3*/site-packages")
    (folder / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def ask(python: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(
        [python, *command], check=False, capture_output=True, text=True, env=environment, cwd=python.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_every_module_and_file(dist: Path, installed: Path) -> None:
    (folder,) = installed.parents[1].glob("lib/python3*/site-packages")
    sources = {path.relative_to(ROOT / "src"): path for path in (ROOT / "src").rglob("*")}
    sources |= {"storage" / path.relative_to(ROOT): path for path in (ROOT / "migrations").rglob("*")}
    for name, path in sources.items():
        if path.is_file() and not {"__pycache__", "training_service.egg-info"} & set(name.parts):
            assert (folder / name).read_bytes() == path.read_bytes(), name


def test_the_wheel_makes_the_schema_and_tells_its_version(installed: Path, dist: Path, databases: Databases) -> None:
    name = databases.create_empty()
    url = databases.urls(name).owner
    settings = {"TRAINING_DATABASE_URL": url, "TRAINING_JWT_SECRET": JWT_SECRET}
    training = str(installed.with_name("training"))
    assert ask(installed, training, "migrate", **settings) == "The database has the schema of this version.\n"
    (wheel,) = dist.glob("*.whl")
    version = ask(installed, training, "--version").split()[-1]
    assert f"-{version}-" in wheel.name
    assert json.loads(ask(installed, training, "openapi", **settings))["info"]["version"] == version
    databases.drop(name)


def test_the_bill_of_materials_names_every_locked_package(dist: Path) -> None:
    (path,) = dist.glob("*.cdx.json")
    bill = json.loads(path.read_text("utf-8"))
    lock = (ROOT / "requirements" / "worker.txt").read_text("utf-8")
    locked = re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE)
    assert len(locked) > 40
    found = {
        (canonicalize_name(component["name"]), component["version"]): component for component in bill["components"]
    }
    assert found.keys() == set(locked)
    without = {name for (name, _), component in found.items() if "licenses" not in component}
    assert without <= {"colorama", "swagger-ui-py"}  # another platform's, and one that declares none
    hashes = re.findall(r"--hash=sha256:(\w+)", lock)
    assert sorted(hash_["content"] for component in found.values() for hash_ in hashes_of(component)) == sorted(hashes)
    assert "serialNumber" not in bill  # the same lock file gives the same bytes
    assert "timestamp" not in bill["metadata"]


def hashes_of(component: dict[str, Any]) -> list[dict[str, str]]:
    return [hash_ for reference in component["externalReferences"] for hash_ in reference.get("hashes", ())]
