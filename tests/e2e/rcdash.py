# SPDX-License-Identifier: Apache-2.0
"""A page in Chromium, by the npm package playwright-core: clicked, typed at and looked at as a person does. And what the tests of the dashboard
look for in it."""
import json
import os
import subprocess

import rcpage
from deadline import SLOW, eventually

SETTINGS = {"namespace.kept.history_size": "100", "namespace.room.presence": "yes", "namespace.room.history_size": "100",
            "namespace.raw.raw": "yes", "namespace.raw.history_size": "20"}
ADMIN = "the-token-of-the-operator"
LIVE = "Live events of the channel, the newest first"

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "js/dashboard.js")


class Failed(AssertionError):
    """What was asked of the page could not be done."""


def home(g):
    return f"http://{g.http[0]}:{g.http[1]}/"


def closed_gateway(gateway, **more):
    """One that wants a token of everybody."""
    return gateway({**SETTINGS, "admin.token": ADMIN, **more})


def figure(text):
    """The number that a tile shows: 1,234 or 12.3K; -1 where it is not known."""
    if text == "–":
        return -1
    return float(text.replace(",", "").rstrip("K")) * (1000 if text.endswith("K") else 1)


def tile(page, label):
    return page.run("""(label) => [...document.querySelectorAll('.tile')].find((t) => t.querySelector('h3').textContent === label)
        .querySelector('.value').textContent""", label)


class Browser:
    def __init__(self, modules, folder, arguments=(), env=None):
        """arguments, env: for Chromium."""
        with open(os.path.join(folder, "browser.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["node", SCRIPT, rcpage.browser(), os.path.join(modules, "axe-core/axe.min.js"), *arguments], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "NODE_PATH": modules, **(env or {})})

    def do(self, what, /, **given):
        self.process.stdin.write(json.dumps({"do": what, **given}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the browser ended"
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(f"{what} {given}: {answer['error']}")
        return answer.get("value")

    def open(self, url, **options):
        return self.do("open", url=url, timeout=15000 * SLOW, **options)

    def run(self, js, given=None):
        """The value of a function's call in the page."""
        return self.do("run", js=js, given=given)

    def go(self, view):
        """To that view by its address."""
        self.run("(hash) => { location.hash = hash; }", "#/" + view)

    def click(self, name, role="button", **more):
        self.do("click", role=role, name=name, **more)

    def fill(self, label, text):
        self.do("fill", label=label, text=text)

    def press(self, *keys):
        self.do("press", keys=keys)

    def text(self, css="main"):
        """Of what can be seen of these elements."""
        return self.run("(css) => [...document.querySelectorAll(css)].filter((e) => e.checkVisibility()).map((e) => e.innerText).join('\\n')", css)

    def until(self, wanted, css="main", seconds=20):
        """Waits until the text there has this in it, or until wanted(text) holds; returns the text."""
        right = wanted if callable(wanted) else lambda text: wanted in text

        def look():
            # Never false when it is right, also where the text is empty.
            text = self.text(css)
            return [text] if right(text) else False

        try:
            return eventually(look, f"{wanted!r} in {css}", seconds, every=0.1)[0]
        except AssertionError as e:
            raise AssertionError(f"{e}; there is: {self.text(css)[:3000]!r}; the state: {self.text('#state')!r}; {self.do('said')}") from None

    def row(self, table, first):
        """The cells' texts of the row of the table with that caption whose first cell is that; None: there is none."""
        return self.run("""([caption, first]) => {
            const table = [...document.querySelectorAll('table')].find((t) => t.caption?.textContent === caption);
            const row = [...(table?.tBodies[0].rows || [])].find((r) => r.cells[0].textContent === first);
            return row ? [...row.cells].map((c) => c.textContent) : null;
        }""", [table, first])

    def rows(self, table):
        return self.run("""(caption) => [...([...document.querySelectorAll('table')].find((t) => t.caption?.textContent === caption)?.tBodies[0].rows || [])]
            .map((r) => [...r.cells].map((c) => c.textContent))""", table)

    def said(self):
        return self.do("said")

    def assert_quiet(self, expected=()):
        """Nothing was violated, thrown or asked of others. expected: statuses of answers that Chromium reports as errors by itself."""
        said = self.said()
        assert not said["violations"] and not said["errors"] and not said["bad"], said
        rest = [m for m in said["console"] if not any(f"status of {status}" in m["text"] for status in expected)
                and not (0 in expected and ("ERR_CONNECTION" in m["text"] or "WebSocket" in m["text"]))]
        assert not rest, rest

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
