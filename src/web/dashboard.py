"""The dashboard of an athlete, and the operator's page: HTML, CSS and JavaScript of ours, and the charts of plotly.

The athlete's has two pages: figures of what was done, and the plan with advice, readiness and goals. All pages ask this
service alone, for what its API and its health and metrics endpoints tell anyway: they hold no data, and need no token
themselves. The athlete's token is typed into a page and stays in that tab.
"""

from hashlib import sha256
from importlib import resources
from importlib.metadata import distribution
from pathlib import Path

from web.pages import CSS, HTML, POLICY, SCRIPT, packed, page, text
from web.routes import Route

# Not `import plotly`: of the package its JavaScript alone is wanted, and only when a browser asks for it.
_PLOTLY = distribution("plotly")
_OURS = resources.files("web") / "static"
_MEDIA = {".css": CSS, ".js": SCRIPT}
_FILES = {file.name: file for file in _OURS.iterdir() if Path(file.name).suffix in _MEDIA}

# The addresses of the files name what is in them, so that browsers keep them and yet never mix two versions.
_DIGEST = sha256(b"".join(_FILES[name].read_bytes() for name in sorted(_FILES))).hexdigest()[:12]
_STATIC = f"/dashboard/{_DIGEST}"
_CHARTS = f"/dashboard/plotly-{_PLOTLY.version}.min.js"
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def _html(name: str) -> bytes:
    template = (_OURS / name).read_text("utf-8")
    return template.replace("{static}", _STATIC).replace("{charts}", _CHARTS).encode()


ROUTES: tuple[Route, ...] = (
    page("/dashboard", text(_html("dashboard.html"), HTML, POLICY)),
    page("/dashboard/plan", text(_html("plan.html"), HTML, POLICY)),
    page("/dashboard/operator", text(_html("operator.html"), HTML, POLICY)),
    page(_CHARTS, packed(Path(str(_PLOTLY.locate_file("plotly/package_data/plotly.min.js"))), SCRIPT, _FOR_EVER)),
    *(
        page(f"{_STATIC}/{name}", packed(file, _MEDIA[Path(name).suffix], _FOR_EVER))
        for name, file in sorted(_FILES.items())
    ),
)
