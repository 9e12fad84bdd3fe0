"""The dashboard's pages as tests look at them: how they are entered, and what holds of each of them."""

from tests.support.browser import Browser
from tests.support.web import Client

LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
READY = "!document.getElementById('report').hidden && document.getElementById('report').ariaBusy === 'false'"
TEXTS = "return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)"
# Elements that stand beyond the right edge of what holds them.
_CUT_OFF = """
const end = (node) => node.getBoundingClientRect().right;
return [...document.querySelectorAll(arguments[0])]
  .filter((node) => node.checkVisibility() && end(node) > end(node.closest(".scroll, .body")) + 0.5)
  .map((node) => node.textContent);
"""
_DESCRIBED = """
return [...document.querySelectorAll("[role=img]")].map((one) => one.ariaDescribedByElements[0].textContent.length)
"""


def address(client: Client) -> str:
    """Where the pages are."""
    return str(client.make_url("")).rstrip("/")


def enter(browser: Browser, text: str) -> None:
    """Type a token where it is asked for."""
    browser.until("document.activeElement === document.getElementById('token')")
    browser.press(text, "\ue007")  # and Enter


def texts(browser: Browser, selector: str) -> list[str]:
    """What the elements hold."""
    return list(browser.run(TEXTS, selector))


def assert_for_everybody(browser: Browser, name: str, within: str = "#records :is(th, td)") -> None:
    """At both widths and in both schemes nothing is cut off, faint or without a name."""
    for width, scheme in LOOKS:
        browser.look(width, scheme)
        ink = browser.run("return getComputedStyle(document.body).color")
        drawn = "[...document.querySelectorAll('.chart:not([hidden]) .xtick text')]"
        fits = "[...document.querySelectorAll('.chart:not([hidden]) .main-svg')]"
        browser.until(f"{drawn}.length && {drawn}.every((text) => getComputedStyle(text).fill === arguments[0])", ink)
        browser.until(f"{fits}.every((svg) => Math.abs(svg.clientWidth - svg.closest('.chart').clientWidth) < 2)")
        browser.picture(f"{name}-{width}-{scheme}")
        assert browser.run(_CUT_OFF, within) == []
        assert browser.run("return document.documentElement.scrollWidth") == width
        assert browser.faint() == []
    assert browser.nameless() == []
    assert min(browser.run(_DESCRIBED)) > 10  # each is told in words
