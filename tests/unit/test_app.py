"""What the process of a worker holds, by loading the app in one of its own."""

import os
import subprocess
import sys
from pathlib import Path

LARGE = {
    "alembic": "migrations are a command's",
    "jinja2": "swagger-ui-py renders no page here: its files are served",
    "plotly": "its JavaScript is a file",
    "pyarrow": "loaded by who is asked for Parquet",
    "sqlalchemy": "it describes the tables, and drives the migrations",
    "swagger_ui": "its files are served",
    "tqdm": "progress bars are a command's",
}


def test_what_no_worker_needs_is_not_loaded() -> None:
    settings = {"TRAINING_DATABASE_URL": "postgresql://nowhere.invalid/none", "TRAINING_JWT_SECRET": "x" * 32}
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, app; print(*sys.modules)"],
        cwd=Path(__file__).parents[2] / "src",
        env={name: value for name, value in os.environ.items() if not name.startswith("TRAINING_")} | settings,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "web.api" in loaded
    assert LARGE.keys() & set(loaded) == set()
