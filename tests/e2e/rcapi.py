# SPDX-License-Identifier: Apache-2.0
"""The gateway's HTTP side as a person with curl sees it: status, headers, JSON, and the text of /metrics as numbers."""
import http.client
import json
import re
from urllib.parse import quote, urlencode

from deadline import SLOW

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.type = response.getheader("Content-Type", "")
        self.headers = response.headers
        self.text = response.read().decode()

    def json(self):
        assert self.type.startswith("application/json"), self.type
        return json.loads(self.text)


def get(g, path, headers=None, **query):
    """One request on a connection of its own, to the port without TLS."""
    c = http.client.HTTPConnection(*g.plain_http, timeout=20 * SLOW)
    try:
        c.request("GET", path + ("?" + urlencode(query) if query else ""), headers=headers or {})
        return Answer(c.getresponse())
    finally:
        c.close()


def get_json(g, path, **query):
    answer = get(g, path, **query)
    assert answer.status == 200, answer.text
    return answer.json()


def channel_path(name):
    return "/api/channels/" + quote(name, safe="")


SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (-?[\d.]+)$")
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"(?:,|$)')


def parse(text):
    """{(name, frozenset of labels): value} of either format."""
    samples = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        found = LABEL.findall(labels or "")
        assert ",".join(f'{k}="{v}"' for k, v in found) == (labels or ""), line
        key = name, frozenset(found)
        assert key not in samples, f"{line} comes twice"
        samples[key] = float(value)
    return samples


class Metrics:
    """One scrape. metrics("ringcast_clients") is the sum over all that have these labels."""

    def __init__(self, g, accept=None):
        self.answer = get(g, "/metrics", {"Accept": accept} if accept else {})
        assert self.answer.status == 200, self.answer.text
        self.text = self.answer.text
        self.samples = parse(self.text)
        self.names = {name for name, _ in self.samples}

    def __call__(self, name, **labels):
        assert name in self.names, f"there is no {name}"
        wanted = set(labels.items())
        return sum(v for (n, l), v in self.samples.items() if n == name and wanted <= l)
