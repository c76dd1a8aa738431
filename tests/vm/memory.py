# SPDX-License-Identifier: Apache-2.0
"""Inside the guest: what an idle client costs the gateway in user space, with plain WebSocket and with the kernel's TLS, beside each other.

    memory.py CLIENTS     status 1 when a client over TLS costs more than 256 bytes, or when its records are not the kernel's both ways
"""
import json
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import deadline  # noqa: E402
import rcgateway  # noqa: E402
import rcload  # noqa: E402
import rctls  # noqa: E402

MOST = 256


def tls_stat():
    with open("/proc/net/tls_stat") as f:
        return {name: int(value) for name, value in map(str.split, f)}


def kernel_was_asked(before, now, clients):
    """All of them, both ways; or a sentence."""
    for name in ("TlsCurrTxSw", "TlsCurrRxSw"):
        if now[name] - before[name] < clients:
            return f"{name} has grown by {now[name] - before[name]} with {clients} clients"
    return None


def load(folder, g, clients, *more):
    return rcload.Load(folder, "idle", "--clients", clients, "--url", g.url("/ws"), "--connect-at-once", 64, "--connect-timeout", 300,
                       "--pid", g.pid, "--quiet", *(["--insecure"] if g.pki else []), *more)


def settled(look):
    """What the last handshakes worked with is given back within seconds: the value that has not fallen any more for five."""
    value, since = look(), time.monotonic()
    while time.monotonic() - since < 5:
        time.sleep(0.2)
        now = look()
        if now < value:
            value, since = now, time.monotonic()
    return value


def connected(g, folder, clients, before):
    """As many more, which stay; (the generator, the gateway's own resident bytes)."""
    running = load(folder, g, clients, "--seconds", 3000)
    g.until_counter("clients", before + clients, 100)
    return running, settled(g.rss)


def measure(scheme, clients, folder):
    """Bytes of user space that a client costs, who is one of the second half. What handshakes bring in once and keep, OpenSSL's tables and
    pages of a heap, comes with the first half; what it comes to is said."""
    with tempfile.TemporaryDirectory(prefix="rc-", dir=folder) as own:
        secure, half = scheme == "wss", clients // 2
        settings = {"max_clients": clients + 100, "heartbeat": "10m", **({"tls.kernel": "yes"} if secure else {})}
        g = rcgateway.Gateway(own, settings, pki=rctls.Pki(own) if secure else None)
        running = []
        try:
            g.wait_ready()
            counted, nobody = tls_stat(), g.rss()
            first, some = connected(g, own, half, 0)
            running.append(first)
            second, all_of_them = connected(g, own, half, half)
            running.append(second)
            wrong = kernel_was_asked(counted, tls_stat(), clients) if secure else None
            if wrong:
                raise SystemExit(wrong)
            each = (all_of_them - some) / half
            once = all_of_them - nobody - each * clients
            print(f"= {scheme}: {clients} idle clients, {each:.0f} bytes of user space each, and {once / 1024:.0f} KiB once, "
                  f"{all_of_them >> 10} KiB in all; counters "
                  + json.dumps({k: v for k, v in g.counters().items() if k.startswith("tls_") and v}), flush=True)
            return each
        finally:
            for one in running:
                one.kill()
            g.kill()


def main():
    clients = int(sys.argv[1])
    # Descriptors of the gateway and of the generator.
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write("1024 65535")
    # With huge pages memory comes in steps of 2 MiB, whoever needs it.
    with open("/sys/kernel/mm/transparent_hugepage/enabled", "w") as f:
        f.write("never")
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
