# SPDX-License-Identifier: Apache-2.0
"""The peers: how each is installed, configured and started. One thread or process does the work in all of them.

Each is set up as somebody would who wants it fast and wants to lose nothing: no logs of requests, no limits on what may wait
for a client, no compression, TCP_NODELAY.
"""
import os

import install
from servers import ROOT, Failed, Missing, Server, ask

SCRIPTS = os.path.join(ROOT, "bench", "compare", "peers")


class Debian(Server):
    packages = ()   # the first is whose version counts
    files = ()      # in the packages, the program first

    def prepare(self, install_it):
        install.debian(self.packages, self.files, install_it)
        self.version = install.debian_version(self.packages[0])

    def file(self, index=0):
        return install.find(self.files[index])

    def environment(self, running):
        return install.environment()


class Nats(Debian):
    name = "nats-server"
    target = "nats"
    packages, files = ("nats-server",), ("usr/sbin/nats-server",)
    threads_meet = True

    def command(self, running):
        tls = "no_tls: true"
        if running.tls:
            key, certificate = running.certificate
            tls = f'tls {{ key_file: "{key}", cert_file: "{certificate}" }}'
        config = running.write("nats.conf", f"""
listen: 127.0.0.1:{running.publish_port}
max_connections: 100000
max_pending: 256MB
write_deadline: "60s"
websocket {{
  listen: "127.0.0.1:{running.port}"
  compression: false
  {tls}
}}
""")
        return [self.file(), "--config", config]

    def environment(self, running):
        # One thread of Go at a time: it would not run several on one CPU, but plan for as many as it sees.
        return {**super().environment(running), "GOMAXPROCS": "1"}


class Nchan(Debian):
    name = "nchan"
    target = "nchan"
    packages = ("libnginx-mod-nchan", "nginx")
    files = ("usr/sbin/nginx", "usr/lib/nginx/modules/ngx_nchan_module.so")
    path = "/sub/{channel}"
    publish_scheme = "http"
    # The module makes nginx insist on this folder, which an unpacked package has not; it gets one that nobody else sees.
    state = "/var/lib/nginx"
    own_mounts = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-rm")

    def prepare(self, install_it):
        super().prepare(install_it)
        if not os.path.isdir(self.state) and install.run([*self.own_mounts, "true"]).returncode:
            raise Missing(f"nginx with Nchan needs {self.state}, and no namespace can be made to give it one: "
                          "install nginx, or run as root")

    def command(self, running):
        tls = ""
        if running.tls:
            key, certificate = running.certificate
            tls = f"ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {certificate}; ssl_certificate_key {key};"
        config = running.write("nginx.conf", f"""
load_module {self.file(1)};
daemon off;
user root root;
worker_processes 1;
worker_rlimit_nofile {os.sysconf("SC_OPEN_MAX")};
pid {running.path("pid")};
error_log {running.path("log")} warn;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path {running.path("body")};
  proxy_temp_path {running.path("proxy")};
  fastcgi_temp_path {running.path("fastcgi")};
  uwsgi_temp_path {running.path("uwsgi")};
  scgi_temp_path {running.path("scgi")};
  nchan_shared_memory_size 256m;
  server {{
    listen 127.0.0.1:{running.port}{" ssl" if running.tls else ""} backlog=4096;
    listen 127.0.0.1:{running.publish_port};
    {tls}
    location ~ ^/sub/(.+)$ {{
      nchan_subscriber websocket;
      nchan_subscriber_first_message newest;
      nchan_channel_id $1;
    }}
    location ~ ^/pub/(.+)$ {{
      nchan_publisher http;
      nchan_message_buffer_length 4096;
      nchan_message_timeout 60s;
      nchan_channel_id $1;
    }}
  }}
}}
""")
        command = [self.file(), "-p", running.folder, "-c", config, "-e", running.path("log")]
        if os.path.isdir(self.state):
            return command
        script = 'mount -t tmpfs none /var/lib && mkdir "$0" && exec "$@"'
        return [*self.own_mounts, "sh", "-c", script, self.state, *command]


class Nginx(Debian):
    """Answers every request with 204 and nothing else: what HTTP alone costs."""
    name = "nginx"
    packages, files = ("nginx",), ("usr/sbin/nginx",)

    def command(self, running):
        paths = " ".join(f"{name}_temp_path {running.path(name)};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = running.write("nginx.conf", f"""
daemon off;
{"user root root;" if os.geteuid() == 0 else ""}
worker_processes 1;
pid {running.path("pid")};
error_log {running.path("log")} warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  {paths}
  server {{
    listen 127.0.0.1:{running.port} backlog=4096;
    location / {{ return 204; }}
  }}
}}
""")
        return [self.file(), "-p", running.folder, "-c", config, "-e", running.path("log")]

    def is_up(self, running):
        try:
            return ask(running.port, "GET", "/")[0] == 204
        except Failed:
            return False


class Mosquitto(Debian):
    name = "mosquitto"
    target = "mosquitto"
    packages, files = ("mosquitto",), ("usr/sbin/mosquitto",)
    path, protocol = "/mqtt", "mqtt"

    def command(self, running):
        tls = ""
        if running.tls:
            key, certificate = running.certificate
            tls = f"certfile {certificate}\nkeyfile {key}"
        user = "user root" if os.geteuid() == 0 else ""
        config = running.write("mosquitto.conf", f"""
{user}
allow_anonymous true
persistence false
log_type error
set_tcp_nodelay true
max_queued_messages 0
max_queued_bytes 0
listener {running.publish_port} 127.0.0.1
listener {running.port} 127.0.0.1
protocol websockets
{tls}
""")
        return [self.file(), "-c", config]


class Node(Server):
    publish_scheme, publish_port = "ws", False
    threads_meet = True
    major = 0

    def prepare(self, install_it):
        install.npm(self.name, self.major, install_it)
        self.version = install.npm_version(self.name)

    def command(self, running):
        return ["node", os.path.join(SCRIPTS, f"{self.target}.js"), install.MODULES, "127.0.0.1", str(running.port),
                *(running.certificate or ())]

    def environment(self, running):
        return {**os.environ, "NODE_ENV": "production"}


class Ws(Node):
    name = target = "ws"
    major = 8
    publish_path = "/"


class SocketIo(Node):
    name, target = "socket.io", "socketio"
    major = 4
    path = publish_path = "/socket.io/?EIO=4&transport=websocket"


def all_peers():
    return [Nats(), Nchan(), Mosquitto(), Ws(), SocketIo(), Nginx()]
