"""A real browser: Debian's Chromium, headless, driven by its own driver; and what a page must be for everybody."""

import base64
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.keys import Keys

from tests.support.debian import fetch, program

PATIENCE = 30.0  # seconds for what a page does by itself
HEIGHT = 900  # pixels
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

# Of each text that can be seen: how it contrasts with what is behind it (WCAG 2.2, 1.4.3), where that is too little.
_FAINT = """
const luminance = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
  .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const colour = numbers(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = [];
while (texts.nextNode()) {
  const text = texts.currentNode, node = text.parentElement;
  if (!text.data.trim() || !node.checkVisibility() || node.closest("noscript, option, .hoverlayer")) continue;
  const style = getComputedStyle(node);
  const front = luminance(numbers(node.closest("svg") ? style.fill : style.color));
  const back = luminance(behind(node));
  const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  if (ratio < 4.5) found.push(`${text.data.trim()}: ${ratio.toFixed(2)}`);
}
return found;
"""
_FOCUSED = """
const node = document.activeElement, style = getComputedStyle(node);
const visible = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
return [node.id || node.textContent.trim() || node.ariaLabel, visible];
"""


class Browser:
    """One tab of one browser, which has never been anywhere."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self.asked: list[str] = []  # all addresses, by any page so far
        self._folder = os.environ.get("TRAINING_TEST_SCREENSHOTS")

    def open(self, address: str) -> None:
        """Go there. What was logged and asked before is forgotten."""
        self.errors()
        self.requests()
        self.driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a function of JavaScript returns."""
        return self.driver.execute_script(script, *arguments)  # type: ignore[no-untyped-call]

    def until(self, condition: str, *arguments: Any) -> None:
        """Wait until the expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(f"return Boolean({condition})", *arguments):
            assert time.monotonic() < end, f"{condition}\n{self.run('return document.body.innerText')}\n{self.errors()}"
            time.sleep(0.05)

    def find(self, selector: str) -> Any:
        """The one element."""
        (found,) = self.driver.find_elements("css selector", selector)
        return found

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select, as a user does."""
        self.run(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change', {bubbles: true}))",
            self.find(selector),
            value,
        )

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def look(self, width: int, scheme: str) -> None:
        """Be so many pixels wide, and prefer `light` or `dark`."""
        size = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 500}
        self._command("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._command("Emulation.setEmulatedMedia", {"features": features})
        self.until(
            "innerWidth === arguments[0] && matchMedia(`(prefers-color-scheme: ${arguments[1]})`).matches",
            width,
            scheme,
        )
        self.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def picture(self, name: str) -> None:
        """A picture of the whole page, where the environment names a folder for them."""
        if self._folder is None:
            return
        width, height = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        answer = self._command("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        Path(self._folder).mkdir(parents=True, exist_ok=True)
        Path(self._folder, f"{name}.png").write_bytes(base64.b64decode(answer["data"]))

    def errors(self) -> list[str]:
        """What the console says is wrong, since the last time."""
        return [entry["message"] for entry in self._log("browser") if entry["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """The addresses that were asked for, since the last time."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent]

    def nameless(self) -> list[str]:
        """What can be operated, or is an image, a table or a region, and has no name for who does not see it."""
        self._command("Accessibility.enable", {})
        tree = self._command("Accessibility.getFullAXTree", {})["nodes"]
        named = {"link", "button", "combobox", "textbox", "img", "image", "table", "region", "heading", "navigation"}
        named |= {"DisclosureTriangle", "listbox", "columnheader", "rowheader"}
        found = []
        for node in tree:
            role = node.get("role", {}).get("value")
            focusable = any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))
            wanted = role in named or (focusable and role not in {"RootWebArea", "main", "MenuListPopup"})
            if not node["ignored"] and wanted and not node.get("name", {}).get("value"):
                place = {"backendNodeId": node["backendDOMNodeId"]}
                found.append(f"{role}: {self._command('DOM.getOuterHTML', place)['outerHTML'][:200]}")
        return found

    def faint(self) -> list[str]:
        """Texts whose contrast is below 4.5."""
        return list(self.run(_FAINT))

    def tour(self, first: str, stops: int) -> list[tuple[str, bool]]:
        """Where the Tab key leads, from the element `first` on: ids or texts, and whether that is seen."""
        self.press(Keys.TAB)  # so that the browser knows that a keyboard is used
        self.run("arguments[0].focus()", self.find(first))
        found = []
        for _ in range(stops):
            name, visible = self.run(_FOCUSED)
            found.append((name, visible))
            self.press(Keys.TAB)
        return found

    def _command(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return self.driver.execute_cdp_cmd(name, parameters)  # type: ignore[no-any-return, no-untyped-call]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        return self.driver.get_log(kind)  # type: ignore[no-any-return, no-untyped-call]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of one's own. Raises `ServerError` where there is none and Debian's cannot be fetched."""
    driver, env = program("chromedriver", "chromium-driver")
    with TemporaryDirectory(prefix="training-chromium-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = shutil.which("chromium") or str(_unpacked(env, Path(profile)))
        for flag in (*_FLAGS, f"--user-data-dir={profile}/data"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        tab = Chrome(options, ChromeService(str(driver), env=env))
        try:
            yield Browser(tab)
        finally:
            tab.quit()


def _unpacked(env: dict[str, str], folder: Path) -> Path:
    """Chromium as it came along with its driver; its fonts are where nobody looks for them."""
    root = fetch("chromium-driver")
    fonts = folder / "fonts.conf"
    fonts.write_text(
        f"<fontconfig><dir>{root}/usr/share/fonts</dir><dir>/usr/share/fonts</dir>"
        f"<cachedir>{folder}/fonts</cachedir></fontconfig>"
    )
    env["FONTCONFIG_FILE"] = str(fonts)
    return root / "usr" / "lib" / "chromium" / "chromium"
