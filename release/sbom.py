"""The bill of materials: every package that a worker is made of, by requirements/worker.txt."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from release.tools import ReleaseError, run

_SCHEMA = SchemaVersion.V1_6
_OPTIONS = ("--output-reproducible", "--no-validate", "--spec-version", _SCHEMA.to_version(), "--output-format", "JSON")

Document = dict[str, Any]


def write_sbom(root: Path, out: Path) -> Path:
    """Write it into `out` as CycloneDX JSON, valid by its schema. Raises `ReleaseError`.

    The lock file says which packages, versions and hashes these are, on any platform. Licences, and what depends on
    what, are as the installed packages declare them; a package of another platform is named without them. The same
    lock file and environment give the same bytes.
    """
    project = ("--pyproject", str(root / "pyproject.toml"))
    installed = _ask("environment", *project, sys.executable)
    locked = _ask("requirements", *project, str(root / "requirements" / "worker.txt"))
    bill = _bill(installed, locked["components"])
    text = json.dumps(bill, indent=2, sort_keys=True) + "\n"
    trouble = JsonStrictValidator(_SCHEMA).validate_str(text)
    if trouble is not None:
        raise ReleaseError(f"the bill of materials is not CycloneDX {_SCHEMA.to_version()}: {trouble}")
    subject = bill["metadata"]["component"]
    path = out / f"{subject['name']}-{subject['version']}.cdx.json"
    path.write_text(text, "utf-8")
    return path


def _bill(installed: Document, locked: Sequence[Document]) -> Document:
    """`installed`, of which only what is locked is kept, with the hashes of the lock file."""
    known = {_key(component): component for component in installed["components"]}
    components = []
    for package in locked:
        component = known.get(_key(package), {name: package[name] for name in ("name", "purl", "type", "version")})
        component.setdefault("bom-ref", package["purl"])
        components.append({**component, "externalReferences": package["externalReferences"]})
    kept = {installed["metadata"]["component"]["bom-ref"], *(component["bom-ref"] for component in components)}
    dependencies = [
        {**dependency, "dependsOn": [ref for ref in dependency.get("dependsOn", ()) if ref in kept]}
        for dependency in installed["dependencies"]
        if dependency["ref"] in kept
    ]
    return {**installed, "components": components, "dependencies": dependencies}


def _ask(of: str, *arguments: str) -> Document:
    document: Document = json.loads(run([sys.executable, "-m", "cyclonedx_py", of, *_OPTIONS, *arguments]))
    return document


def _key(component: Document) -> tuple[str, str]:
    return canonicalize_name(component["name"]), component["version"]
