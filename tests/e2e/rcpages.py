# SPDX-License-Identifier: Apache-2.0
"""Pages in Chromium, a step after the other (`js/pages.mjs`), and a small site for them."""
import http.server
import json
import os
import subprocess
import threading

import rcgateway
import rcpage
from conftest import npm_modules
from deadline import SLOW

ROOT = rcgateway.ROOT


class Site:
    """Serves texts by path, from 127.0.0.1 and a port of its own. pages: {"/": "<!doctype html>…"}"""

    def __init__(self, pages=None):
        self.pages = dict(pages or {})
        pages = self.pages

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = pages.get(self.path.partition("?")[0])
                body = (text or "").encode()
                self.send_response(404 if text is None else 200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Pages:
    def __init__(self):
        env = {**os.environ, "MODULES": npm_modules("playwright-core", 1), "CHROMIUM": rcpage.browser(), "TIMEOUT": str(int(20000 * SLOW))}
        self.process = subprocess.Popen(["node", os.path.join(ROOT, "tests/e2e/js/pages.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=env)
        assert self._answer() == "ready"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(30 * SLOW)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def _answer(self):
        line = self.process.stdout.readline()
        assert line, "the browser's script ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def __call__(self, page, step, *given):
        self.process.stdin.write(json.dumps({"page": page, "do": step, "with": given}) + "\n")
        self.process.stdin.flush()
        return self._answer()
