# SPDX-License-Identifier: Apache-2.0
"""Inside the guest: what an idle client costs the gateway in user space, with plain WebSocket and with the kernel's TLS, beside each other.

    memory.py CLIENTS     status 1 when a client over TLS costs more than 256 bytes, or when its records are not the kernel's both ways
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import deadline  # noqa: E402
import rcgateway  # noqa: E402
import rcload  # noqa: E402

MOST = 256


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, capture_output=True)
    return {"tls.certificate": f"{folder}/cert.pem", "tls.key": f"{folder}/key.pem", "tls.kernel": "yes"}


def tls_stat():
    with open("/proc/net/tls_stat") as f:
        return {name: int(value) for name, value in map(str.split, f)}


def kernel_was_asked(before, now, clients):
    """All of them, both ways; or a sentence."""
    for name in ("TlsCurrTxSw", "TlsCurrRxSw"):
        if now[name] - before[name] < clients:
            return f"{name} has grown by {now[name] - before[name]} with {clients} clients"
    return None


def measure(scheme, clients, folder):
    """Bytes of user space a client."""
    with tempfile.TemporaryDirectory(prefix="rc-", dir=folder) as own:
        settings = {"max_clients": clients + 100, "heartbeat": "10m", **(certificate(own) if scheme == "wss" else {})}
        g = rcgateway.Gateway(own, settings)
        try:
            g.wait_ready()
            before, load = tls_stat(), rcload.Load(
                own, "idle", "--clients", clients, "--url", f"{scheme}://127.0.0.1:{g.http[1]}/ws", "--connect-at-once", 64,
                "--connect-timeout", 300, "--pid", g.pid, "--quiet", *(["--insecure"] if scheme == "wss" else []))
            wrong = None
            if scheme == "wss":
                # While they are connected, not afterwards.
                g.until_counter("tls_kernel", clients, 100)
                wrong = kernel_was_asked(before, tls_stat(), clients)
            result = load.wait(100)
            if wrong:
                raise SystemExit(wrong)
            if result.json is None or result.status not in (0, rcload.STATUS["limited"]):
                raise SystemExit(f"the generator has no figures: {result}")
            bytes_each = result.json["server"]["rss_per_client"]
            print(f"= {scheme}: {clients} idle clients, {bytes_each:.0f} bytes of user space each; counters "
                  + json.dumps({k: v for k, v in g.counters().items() if k.startswith("tls_") and v}), flush=True)
            g.stop(seconds=100)
            return bytes_each
        finally:
            g.kill()


def main():
    clients = int(sys.argv[1])
    # Descriptors of the gateway and of the generator.
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write("1024 65535")
    folder = tempfile.mkdtemp(prefix="rc-")
    try:
        plain, tls = measure("ws", clients, folder), measure("wss", clients, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"= a client over the kernel's TLS costs {tls - plain:+.0f} bytes beside a plain one; at most {MOST} are allowed in all")
    return 0 if tls <= MOST else 1


if __name__ == "__main__":
    with deadline.limit(1500, "the measurement"):
        sys.exit(main())
