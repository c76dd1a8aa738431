# SPDX-License-Identifier: Apache-2.0
"""The load generator's report, opened in headless Chromium: what stands on the page after it has drawn itself."""
import html.parser
import os
import re
import shutil
import subprocess

import pytest

import rcgateway
import rcload
from deadline import SLOW

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VOID = {"meta", "link", "br", "hr", "img", "input"}


def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip("chromium is not installed")
    return found


def profile_that_trusts(folder, root, leaf):
    """Arguments and environment for a browser whose profile trusts the root: in the profile's own database where certutil is there."""
    home = os.path.join(folder, "home")
    if shutil.which("certutil"):
        base = os.path.join(home, ".pki/nssdb")
        os.makedirs(base)
        for command in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "ringcast test root", "-i", root]):
            subprocess.run(["certutil", "-d", f"sql:{base}", *command], check=True, capture_output=True, timeout=30 * SLOW)
        return [], {"HOME": home}
    # Else by the key of the certificate that is to be taken as it is.
    spki = subprocess.run(f"openssl x509 -in {leaf} -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
                          shell=True, check=True, capture_output=True, text=True, timeout=30 * SLOW).stdout.strip()
    return [f"--ignore-certificate-errors-spki-list={spki}"], {"HOME": home}


class Element:
    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children = []

    def __getitem__(self, name):
        return self.attributes.get(name)

    @property
    def text(self):
        if self.tag in ("script", "style"):
            return ""
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def all(self, tag=None, **attributes):
        """Elements below this one; class_="value" means: among its classes."""
        for child in self.children:
            if isinstance(child, str):
                continue
            classes = (child["class"] or "").split()
            if (tag is None or child.tag == tag) and all(v in classes if k == "class_" else child[k.replace("_", "-")] == v
                                                         for k, v in attributes.items()):
                yield child
            yield from child.all(tag, **attributes)


class Tree(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.root = self.at = Element("", {}, None)
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        e = Element(tag, dict(attributes), self.at)
        self.at.children.append(e)
        if tag not in VOID:
            self.at = e

    def handle_startendtag(self, tag, attributes):
        self.at.children.append(Element(tag, dict(attributes), self.at))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.at.tag == tag, f"</{tag}> where <{self.at.tag}> is open"
            self.at = self.at.parent

    def handle_data(self, text):
        self.at.children.append(text)


def render(folder, result):
    """The page of a kept result, by --render."""
    path, page = os.path.join(folder, "result.json"), os.path.join(folder, "page.html")
    with open(path, "w", encoding="utf-8") as f:
        f.write(result)
    done = subprocess.run([rcload.BINARY, "--render", path, "--report", page], capture_output=True, text=True, timeout=30 * SLOW,
                          env=rcgateway.environment(folder))
    assert done.returncode == 0 and not done.stderr, done.stderr
    return page


class Page:
    """A page as Chromium has drawn it. after: a script that runs behind the page's own."""

    def __init__(self, folder, path, after="", width=1200):
        if after:
            with open(path, encoding="utf-8") as f:
                text = f.read()
            path = os.path.join(folder, "page-with-script.html")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text.replace("</body>", f"<script>{after}</script></body>"))
            # The page draws itself at once, without timers; virtual time lets what is still under way end before the document is written.
        done = subprocess.run(
            [browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", f"--user-data-dir={folder}/profile", f"--window-size={width},1400",
             "--virtual-time-budget=4000", "--enable-logging=stderr", "--log-level=0", "--dump-dom", f"file://{path}"],
            capture_output=True, text=True, encoding="utf-8", timeout=60 * SLOW, stdin=subprocess.DEVNULL)
        assert done.returncode == 0 and done.stdout, done.stderr[-4000:]
        # What the page says to the console: errors that nobody caught are among it.
        self.console = re.findall(r"^.*CONSOLE.*$", done.stderr, re.M)
        self.source = done.stdout
        self.root = Tree(done.stdout).root
        self.html = next(self.root.all("html"))
        self.main = next(self.root.all("main"))

    @property
    def figures(self):
        """[(key, value as it stands in the JSON, text, element)]"""
        return [(e["data-key"], e["data-value"], e.text, e) for e in self.main.all() if e["data-key"]]

    def figure(self, key):
        """The first of this key, which is the largest on the page."""
        return next(f for f in self.figures if f[0] == key)
