# SPDX-License-Identifier: Apache-2.0
"""What stands in front of the gateway: PROXY headers made by hand, addresses to be reached from another one, and real proxies (nginx, HAProxy).

A Via is an address for the clients of rcws.py, rcsse.py, rchttp.py and rcingest.py that first sends a header."""
import os
import shutil
import socket
import struct
import subprocess

from deadline import Deadline, SLOW
from rcgateway import ROOT
from rchttp import Http

MARK = b"\r\n\r\n\0\r\nQUIT\n"
TOKEN = "the admin's own token"
ADMIN = {"admin.listen": "127.0.0.1:0", "admin.token": TOKEN}
BEARER = f"Authorization: Bearer {TOKEN}"


class Via(tuple):
    """The same place, reached from `source`, with `header` in front of everything; then as the inner address says (TLS)."""

    def __new__(cls, address, header=b"", source=None):
        self = super().__new__(cls, tuple(address))
        self.inner, self.header, self.source = address, header, source
        return self

    def secure(self, sock, timeout):
        if self.header:
            sock.sendall(self.header)
        return self.inner.secure(sock, timeout) if hasattr(self.inner, "secure") else sock


def v1(source="192.0.2.7", port=12345):
    kind, to = ("TCP6", "::1") if ":" in source else ("TCP4", "127.0.0.1")
    return f"PROXY {kind} {source} {to} {port} 443\r\n".encode()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def v2_raw(command, family, body, length=None):
    return MARK + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def v2(source="192.0.2.7", port=12345, more=b"", crc=False):
    v6 = ":" in source
    pack = (lambda a: socket.inet_pton(socket.AF_INET6, a)) if v6 else socket.inet_aton
    body = pack(source) + pack("::1" if v6 else "127.0.0.1") + struct.pack("!HH", port, 443) + more
    if crc:
        body += tlv(3, bytes(4))
    header = v2_raw(0x21, 0x21 if v6 else 0x11, body)
    return header[:-4] + struct.pack("!I", crc32c(header)) if crc else header


LOCAL = v2_raw(0x20, 0, b"")


def status(g):
    with Http(g._address("admin")) as c:
        r = c.get("/api/status", BEARER)
        assert r.status == 200, r.body
        return r.json


def addresses(g, channel=None):
    """Of the clients, or of those that hear this channel, as the gateway tells them."""
    details = status(g)["clientDetails"].values()
    return sorted(c["address"] for c in details if channel is None or channel in c["subscriptions"])


def publish(g, channel, data):
    with Http(g._address("admin")) as c:
        r = c.publish({"channel": channel, "data": data}, BEARER)
        assert r.status == 200, r.body


# ---- real ones

FRONTS = os.path.join(ROOT, "build/tools/fronts/root")


def find(*paths):
    for path in paths:
        for root in (FRONTS, "/"):
            if os.path.exists(os.path.join(root, path)):
                return os.path.join(root, path)
    return None


def environment():
    folders = [os.path.join(at, "") for at, _, names in os.walk(FRONTS) if any(".so" in n for n in names) and "modules" not in at]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders + [os.environ.get("LD_LIBRARY_PATH", "")]).strip(":")}


def free_ports(count, host="127.0.0.1"):
    """Ports that were free a moment ago."""
    taken = []
    try:
        for _ in range(count):
            s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            s.bind((host, 0))
            taken.append(s)
        return [s.getsockname()[1] for s in taken]
    finally:
        for s in taken:
            s.close()


class Front:
    """A proxy as a process; ready when it takes connections at all of its ports."""

    def __init__(self, folder, name, command, addresses):
        self.log = os.path.join(folder, name + ".log")
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(), cwd=folder)
        deadline = Deadline(30)
        for address in addresses:
            while True:
                s = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
                try:
                    s.connect(address)
                    break
                except ConnectionRefusedError:
                    assert self.process.poll() is None, f"{name} ended: {self.said()}"
                    assert deadline.left() > 0
                finally:
                    s.close()

    def said(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-3000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def location(path, to):
    """A block of nginx that passes all below the path to `to`, WebSockets too."""
    return f"""        location {path} {{
            proxy_pass {to};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }}
"""


def nginx(folder, http, stream, addresses):
    """With these server blocks in http { } and stream { }. None where there is no nginx."""
    program, module = find("usr/sbin/nginx"), find("usr/lib/nginx/modules/ngx_stream_module.so")
    if not program or not module:
        return None
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        os.makedirs(os.path.join(folder, "nginx", name), exist_ok=True)
    temp = "".join(f"    {d}_temp_path {folder}/nginx/{n};\n" for d, n in (
        ("client_body", "body"), ("proxy", "proxy"), ("fastcgi", "fastcgi"), ("uwsgi", "uwsgi"), ("scgi", "scgi")))
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as f:
        f.write(f"load_module {module};\ndaemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
                f"events {{ worker_connections 256; }}\nhttp {{\n    access_log off;\n{temp}{http}}}\nstream {{\n{stream}}}\n")
    return Front(folder, "nginx", [program, "-p", folder, "-e", "stderr", "-c", path], addresses)


def haproxy(folder, sections, addresses):
    program = find("usr/sbin/haproxy")
    if not program or not shutil.which("ldd"):
        return None
    path = os.path.join(folder, "haproxy.cfg")
    with open(path, "w") as f:
        f.write("global\n    nbthread 1\n    maxconn 200\n    stats socket " + os.path.join(folder, "haproxy.sock") + "\n"
                "defaults\n    timeout connect 10s\n    timeout client 60s\n    timeout server 60s\n    timeout check 10s\n" + sections)
    return Front(folder, "haproxy", [program, "-db", "-f", path], addresses)
