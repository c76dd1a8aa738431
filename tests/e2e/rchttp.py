# SPDX-License-Identifier: Apache-2.0
"""A plain HTTP client over one raw socket: what it sends is exactly what the test says, and answers are read one by one."""
import json

from rcws import Stream, open_socket, read_response


def request(method, path, *lines, body=b"", host="localhost", version="HTTP/1.1", length=True):
    body = body.encode() if isinstance(body, str) else body
    fields = ([f"Host: {host}"] if host else []) + list(lines)
    if length and (body or method in ("POST", "PUT")):
        fields.append(f"Content-Length: {len(body)}")
    return (f"{method} {path} {version}\r\n" + "".join(f + "\r\n" for f in fields) + "\r\n").encode("latin-1") + body


class Http(Stream):
    """ask() sends a request and reads its answer; the connection stays for the next."""

    def __init__(self, address, **options):
        super().__init__(open_socket(address, **options))

    def send(self, method, path, *lines, **options):
        self.send_bytes(request(method, path, *lines, **options))

    def answer(self, head_only=False, **options):
        r = read_response(self, head_only=head_only, **options)
        if r.body and r.headers.get("content-type", "").startswith("application/json"):
            r.json = json.loads(r.body)
        return r

    def ask(self, method, path, *lines, **options):
        self.send(method, path, *lines, **options)
        return self.answer(head_only=method == "HEAD")

    def get(self, path, *lines, **options):
        return self.ask("GET", path, *lines, **options)

    def publish(self, what, *lines, path="/api/publish", **options):
        body = what if isinstance(what, (str, bytes)) else json.dumps(what)
        return self.ask("POST", path, *lines, body=body, **options)

    def position(self, channel, data=None, **fields):
        r = self.publish({"channel": channel, "data": data, **fields})
        assert r.status == 200, (r.status, r.body)
        return r.json["position"]


def offset(position):
    return int(position.split("@")[1])
