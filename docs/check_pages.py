"""Open every page of the built site in headless Chromium, as readers get it, and say what is broken.

``python docs/check_pages.py [docs/_build/html] [--screenshots FOLDER] [--only PART]`` needs nothing but the
standard library and a Chromium (Debian: ``apt-get install chromium``; or name one in the variable CHROMIUM).
Each page is opened from disk, without network, at 1300 and 420 pixels, light and dark. Status 1 if anything
is wrong, 77 without a browser.
"""

import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS = (1300, 420)
MODES = ("light", "dark")
PATIENCE = 30.0  # seconds that a page may take
NO_BROWSER = 77
# The project has no site, no repository and no package of that name yet: nothing may point there.
MISSING = re.compile(
    r"sgdopt[^/]*\.readthedocs|pypi\.org/(?:project|simple)/sklearn|github\.com/[^\"'/]*/sklearn.sgdopt",
    re.IGNORECASE,
)
NOT_PUBLISHED = re.compile(r"pip install (?:-U )?[\"']?sklearn.sgdopt")

# Whether a page takes on the colours that its reader prefers; a change takes it a moment.
DRESS = """
(async mode => {
  for (let tries = 0; tries < 40; ++tries) {
    if (document.documentElement.dataset.theme === mode) return true;
    await new Promise(done => setTimeout(done, 25));
  }
  return false;
})
"""

# What a page says about itself: a list of complaints.
LOOK = """
(async () => {
  const wrong = [];
  if (document.querySelector('.math') && window.MathJax && MathJax.startup) await MathJax.startup.promise;
  await document.fonts.ready;
  for (const image of document.images) {
    image.loading = 'eager';
    if (!image.complete) await new Promise(done => { image.onload = image.onerror = done; });
    const name = image.getAttribute('src');
    if (!image.naturalWidth) wrong.push('broken picture ' + name);
    if (!image.alt.trim() && !image.closest('.sphx-glr-thumbcontainer'))
      wrong.push('picture without a description: ' + name);
  }
  const root = document.documentElement, shown = node => node.getClientRects().length > 0;
  if (root.scrollWidth > innerWidth) {
    const wide = [...document.body.querySelectorAll('*')].filter(node => {
      if (!shown(node) || node.getBoundingClientRect().right <= innerWidth + 1) return false;
      for (let up = node; up !== document.body; up = up.parentElement)
        if (getComputedStyle(up).overflowX !== 'visible' || getComputedStyle(up).position === 'fixed')
          return false;
      return true;
    });
    const last = wide.at(-1);
    wrong.push(`scrolls sideways: ${root.scrollWidth} of ${innerWidth} pixels` +
      (last ? `, <${last.tagName} class="${last.className}"> ${last.textContent.trim().slice(0, 60)}` : ''));
  }
  for (const text of document.querySelectorAll('article h1, article h2, article h3, article dt, article p'))
    if (shown(text) && getComputedStyle(text).overflowX !== 'auto' && text.scrollWidth > text.clientWidth + 2
        && !text.closest('.pst-scrollable-table-container, table') && text.clientWidth)
      wrong.push(`text is cut off: ${text.textContent.trim().slice(0, 40)}`);
  const line = parseFloat(getComputedStyle(document.body).fontSize);
  for (const math of document.querySelectorAll('.math')) {
    if (!shown(math)) continue;
    const drawn = math.querySelector('mjx-container svg'), what = math.textContent.trim().slice(0, 40);
    if (!drawn) { wrong.push('formula not drawn: ' + what); continue; }
    const { width, height } = drawn.getBoundingClientRect();
    const most = math.tagName === 'SPAN' ? 3 : 15;
    if (width < 0.2 * line || height < 0.2 * line || height > most * line)
      wrong.push(`formula of ${width.toFixed()} x ${height.toFixed()} pixels: ` + what);
    if (math.querySelector('[data-mml-node=merror], [fill=red]'))
      wrong.push('formula with an unknown command');
    if (math.tagName === 'SPAN' && width > math.closest('p, li, td, dd, dt, div').clientWidth + 1)
      wrong.push(`formula wider than its paragraph: ${width.toFixed()} pixels`);
  }
  const header = document.querySelector('.bd-header');
  if (header && header.offsetHeight > 5 * line)
    wrong.push(`header of ${header.offsetHeight} pixels: more than one row`);
  if (innerWidth > 1000)
    for (const code of document.querySelectorAll('article [class*=highlight-] pre'))
      if (shown(code) && code.scrollWidth > code.clientWidth + 1 && !code.closest('.sphx-glr-script-out'))
        wrong.push(`code wider than its box (${code.scrollWidth} of ${code.clientWidth}): ` +
          code.textContent.split('\\n').reduce((a, b) => a.length > b.length ? a : b));
  return wrong;
})()
"""


class Browser:
    """Chromium over its pipe of the DevTools protocol: NUL-terminated JSON, no websocket needed."""

    def __init__(self, program: str, profile: str):
        ours, theirs = os.pipe(), os.pipe()
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--no-first-run", "--disable-extensions", "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe", f"--user-data-dir={profile}",
        ]  # fmt: skip
        shell = f'exec "$0" "$@" 3<&{ours[0]} 4>&{theirs[1]}'
        self.process = subprocess.Popen(
            ["sh", "-c", shell, program, *options, "about:blank"],
            pass_fds=(ours[0], theirs[1]),
            stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.out, self.inbox = ours[1], os.fdopen(theirs[0], "rb", buffering=0)
        self.buffer, self.last, self.session, self.events = b"", 0, None, []

    def receive(self):
        """Return the next message."""
        while b"\0" not in self.buffer:
            piece = self.inbox.read(1 << 16)
            if not piece:
                raise RuntimeError("the browser has gone")
            self.buffer += piece
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def ask(self, method: str, **params):
        """Send a command and return its result; events that come meanwhile are kept."""
        self.last += 1
        command = {"id": self.last, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.out, json.dumps(command).encode() + b"\0")
        while (message := self.receive()).get("id") != self.last:
            self.events.append(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def open_tab(self):
        """Attach to a tab, and listen."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def show(self, width: int, mode: str):
        """Set the size of the window and the colours that the reader prefers."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": mode}])

    def load(self, page: Path):
        """Open a page and wait until all of it is there."""
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        end = time.monotonic() + PATIENCE
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive())
            if time.monotonic() > end:
                raise RuntimeError(f"{page} does not load")

    def evaluate(self, script: str):
        """Return what a script in the page returns."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def complaints(self):
        """Return errors of the console and files that could not be loaded."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    details = params["exceptionDetails"]
                    text = details.get("exception", {}).get("description", details["text"])
                    found.append(f"error in a script: {text[:200]}")
                case "Runtime.consoleAPICalled" if params["type"] in ("error", "assert"):
                    found.append(f"console: {[piece.get('value') for piece in params['args']]}")
                case "Log.entryAdded" if params["entry"]["level"] == "error":
                    found.append(f"console: {params['entry']['text']} {params['entry'].get('url', '')}")
                case "Network.requestWillBeSent" if params["request"]["url"].startswith("http"):
                    found.append(f"asks the network for {params['request']['url']}")
        return found

    def screenshot(self, path: Path):
        """Save a picture of the whole page, up to 4000 pixels of it."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 4000), "scale": 1}
        data = self.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        """End the browser."""
        self.session = None
        self.ask("Browser.close")
        self.process.wait(10)


class Links(HTMLParser):
    """The links of a page, the names that can be linked to, and its text."""

    def __init__(self, page: Path):
        super().__init__()
        self.links, self.names, self.text = [], set(), []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.names.update(values[key] for key in ("id", "name") if values.get(key))
        self.links += [values[key] for key in ("href", "src") if values.get(key)]
        if values.get("srcset"):
            self.links += [piece.split()[0] for piece in values["srcset"].split(",")]

    def handle_data(self, data):
        self.text.append(data)


def check_links(site: Path, pages: list[Path]) -> list[str]:
    """Return links to files and places that do not exist, and those to a site or a package that does not."""
    known, wrong = {page: Links(page) for page in pages}, []
    for page, found in known.items():
        where = page.relative_to(site)
        for link in found.links:
            parts = urlsplit(link)
            if MISSING.search(link):
                wrong.append(f"{where}: points to what does not exist: {link}")
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                wrong.append(f"{where}: broken link {link}")
            elif parts.fragment and target in known and unquote(parts.fragment) not in known[target].names:
                wrong.append(f"{where}: no such place: {link}")
        if NOT_PUBLISHED.search(" ".join("".join(found.text).split())):
            wrong.append(f"{where}: installs a package that is not published")
    return wrong


def check_pages(browser: Browser, site: Path, pages: list[Path], screenshots: Path | None) -> list[str]:
    """Return what is wrong with the pages as the browser draws them."""
    wrong: dict[str, None] = {}
    browser.open_tab()
    for page in pages:
        where = page.relative_to(site)
        for width in WIDTHS:
            for mode in MODES:
                browser.show(width, mode)
                if (width, mode) == (WIDTHS[0], MODES[0]):
                    browser.load(page)
                is_dressed = browser.evaluate(f"{DRESS}('{mode}')")
                found = browser.evaluate(LOOK)
                wrong.update(dict.fromkeys(f"{where}: at {width} pixels: {text}" for text in found))
                if not is_dressed:
                    wrong[f"{where}: not {mode} where readers prefer it"] = None
                if screenshots is not None:
                    name = "_".join(where.with_suffix("").parts)
                    browser.screenshot(screenshots / f"{name}-{width}-{mode}.png")
        wrong.update(dict.fromkeys(f"{where}: {text}" for text in browser.complaints()))
    return list(wrong)


def main() -> int:
    """Check the site and print what is wrong with it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", nargs="?", type=Path, default=Path(__file__).parent / "_build" / "html")
    parser.add_argument("--screenshots", type=Path, help="folder for pictures of all pages")
    parser.add_argument("--only", default="", help="open pages with this in their names only")
    arguments = parser.parse_args()
    site = arguments.site.resolve()
    pages = sorted(page for page in site.rglob("*.html") if "_static" not in page.parts)
    if not pages:
        print(f"No pages in {site}: build the documentation first.")
        return 1
    wrong = check_links(site, pages)
    candidates = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else BROWSERS
    program = next(filter(None, map(shutil.which, candidates)), None)
    opened = [page for page in pages if arguments.only in str(page.relative_to(site))]
    if program is not None:
        if arguments.screenshots is not None:
            arguments.screenshots.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            browser = Browser(program, profile)
            try:
                wrong += check_pages(browser, site, opened, arguments.screenshots)
            finally:
                browser.close()
    print(*wrong, sep="\n", end="\n" if wrong else "")
    if wrong:
        return 1
    if program is None:
        print("Links are sound. No Chromium was found: pages were not opened.")
        return NO_BROWSER
    sizes = " and ".join(map(str, WIDTHS))
    print(f"{len(opened)} pages are sound, at {sizes} pixels, {' and '.join(MODES)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
