"""Helm's own renderer and linter (its Go code, from the wheel `helm-python-sdk`), offline, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "training-service"
RELEASE = "training-service"
NAMESPACE = "training"

Values = Mapping[str, Any]


def run(cases: Mapping[str, Values], release: str = RELEASE) -> dict[str, dict[str, Any]]:
    """Of each case's values: `texts`, what each template becomes; `found`, what lint has to say; or `error`, why not.

    Not in this process: Go's runtime takes signals and starts threads.
    """
    command = [sys.executable, "-m", "tests.support.helm", release]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, input=json.dumps(cases), text=True, capture_output=True, cwd=root, check=True)
    answers: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return answers


def _answer(chart: helm_python.Chart, values: dict[str, Any], release: str) -> dict[str, Any]:
    try:
        chart.validate_schema(values)
        texts = chart.render(values, name=release, namespace=NAMESPACE, is_install=True)
    except helm_python.HelmError as error:
        return {"error": str(error)}
    found = helm_python.lint(CHART, values, strict=True, namespace=NAMESPACE)
    return {"texts": texts, "found": found["errors"] + [message["error"] for message in found["messages"]]}


if __name__ == "__main__":
    with helm_python.Chart.load(CHART) as loaded:
        answers = {name: _answer(loaded, values, sys.argv[1]) for name, values in json.load(sys.stdin).items()}
        json.dump(answers, sys.stdout)
