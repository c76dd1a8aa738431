# SPDX-License-Identifier: Apache-2.0
"""What is measured, of which servers, and what it is held against."""
import dataclasses

PEERS = ["nats-server", "nchan", "mosquitto", "ws", "socket.io"]
FAN_OUT = {
    "deliveries_per_second": ("window", "deliveries_per_second"),
    "cpu_ns_per_delivery": ("server", "cpu_ns_per_delivery"),
    "p50": ("latency", "p50"),
    "p99": ("latency", "p99"),
    "p999": ("latency", "p999"),
}
INGEST = {
    "published_per_second": ("window", "published_per_second"),
    "cpu_ns_per_event": ("server", "cpu_ns_per_event"),
}
REQUESTS = {
    "requests_per_second": ("window", "requests_per_second"),
    "cpu_ns_per_request": ("server", "cpu_ns_per_request"),
    "p50": ("latency", "p50"),
    "p99": ("latency", "p99"),
}
BATCHES = {**INGEST, "p50": ("latency", "p50"), "p99": ("latency", "p99")}
RECOVERY = {
    "back_seconds": ("back", "seconds"),
    "cpu_seconds_back": ("back", "cpu_seconds"),
    "p99_before": ("back", "p99_before"),
    "p99_meanwhile": ("back", "p99_meanwhile"),
}
COMMANDS = {
    "commands_per_second": ("window", "deliveries_per_second"),
    "cpu_ns_per_command": ("server", "cpu_ns_per_delivery"),
    "rtt_p50": ("latency", "p50"),
    "rtt_p99": ("latency", "p99"),
    "rtt_p999": ("latency", "p999"),
}
HANDSHAKES = {
    "cpu_ns_per_handshake": ("server", "cpu_ns_per_handshake"),
    "handshakes_per_second": ("window", "handshakes_per_second"),
    "p50": ("latency", "p50"),
    "p99": ("latency", "p99"),
}
# What holds when the generator was the limit: over TLS it deciphers, and makes half of each handshake, on one core as the server does.
STILL_HOLDS = {key: ("limited", key) for key in ("cpu_ns_per_delivery", "cpu_ns_per_handshake", "cpu_ns_per_request", "cpu_ns_per_event")}
COMMANDS_STILL_HOLD = {"cpu_ns_per_command": ("limited", "cpu_ns_per_delivery")}
# What is still of use when the generator was late or slow, though not disturbed by others: all servers have it in their latency alike.
LATENCY_WITH_OURS = {key: ("limited", "latency", key) for key in ("p50", "p99", "p999")}
EVENTS_A_SECOND = 100  # of the latency case: 100,000 deliveries to 1,000 clients
EVENTS_OVER_TLS = 40  # which the generator can decipher and have time to spare
COMMANDS_A_SECOND = 10000  # of the case in which they come at a rate, which both servers have time for
CONNECTIONS = 64  # of wrk
BATCH = 100  # events in a request
STORMING = 1000  # clients that make handshakes while others receive
# The storm of those who come back: a tenth stays, and the rate makes of the time away the events that each of the others misses.
STAYING, COMING_BACK, MISSED, AWAY_SECONDS, CALM_SECONDS = 1000, 10000, 100, 4, 4
# Over TLS: records made in user space; by the kernel; the same without TLS
OURS = ["ringcast", "ringcast-ktls", "ringcast-ws"]


@dataclasses.dataclass
class Case:
    name: str
    title: str
    unit: str           # of the primary figure, for people
    primary: str
    better: str
    servers: list
    figures: dict       # key: where it stands in the generator's JSON
    scenario: str = "fanout"    # of the generator; "": only started
    clients: int = 0
    payload: int = 0
    in_flight: int = 0
    rate: int = 0
    group: str = ""     # "tls", "http", "commands": measured, and recorded, apart
    tls: bool = False
    wrk: bool = False   # makes requests, in place of ringcast-load
    batch: int = 0      # events in a request of wrk's, as an array
    away: float = 0     # seconds for which a storm's clients are away
    rsa: bool = False   # the certificate's key; else P-256
    more: tuple = ()    # flags of the generator
    storm: bool = False  # meanwhile others make handshakes, on the generator's CPU, when it has time to spare
    polls: bool = True  # the generator does not sleep
    memory: bool = False  # is all that is looked at: the generator may sleep, and may be disturbed
    rounds: int = 1000  # at most: what hardly varies is not measured so often
    seconds: float = 0  # of the window; 0: what was asked for

    def arguments(self):
        """For the generator."""
        flags = []
        for name in ("clients", "payload", "in_flight", "rate"):
            if getattr(self, name):
                flags += ["--" + name.replace("_", "-"), str(getattr(self, name))]
        return [self.scenario, *flags, *self.more]


def fan_out(in_flight, payload, clients, floors, tls=False):
    size = f"{payload} B" if payload < 1024 else f"{payload // 1024} KiB"
    title = f"Fan-out {'over TLS ' if tls else ''}to {clients:,} subscribers, {size}, " + \
        ("one event" if in_flight == 1 else f"{in_flight} events") + " in flight"
    # Over TLS the generator's core is often the limit, and then deliveries a second say nothing.
    lower = in_flight == 1 or tls
    name = f"{'tls-' if tls else ''}fanout-{in_flight}-{payload}"
    return Case(name, title, "ns of server CPU a delivery" if lower else "deliveries/s",
                "cpu_ns_per_delivery" if lower else "deliveries_per_second", "lower" if lower else "higher",
                [*(OURS if tls else ["ringcast"]), *floors, *PEERS], FAN_OUT, clients=clients, payload=payload, in_flight=in_flight,
                group="tls" if tls else "", tls=tls)


def handshakes(version, rsa, resumed):
    name = f"handshakes-{version.replace('.', '')}-{'rsa' if rsa else 'p256'}{'-resumed' if resumed else ''}"
    title = f"{'Resumed' if resumed else 'Full'} handshakes, TLS {version}, {'RSA-2048' if rsa else 'P-256'}"
    # A version and a key that most clients meet are enough to compare.
    peers = [p for p in PEERS if p != "socket.io"] if version == "1.3" and not rsa else []
    return Case(name, title, "ns of server CPU a handshake", "cpu_ns_per_handshake", "lower", ["ringcast", "floor-tls", *peers], HANDSHAKES,
                "handshakes", group="tls", tls=True, rsa=rsa, more=("--tls", version, *(["--resume"] if resumed else [])))


def tls_cases(clients, idle, idle_tls):
    memory = {"rss_per_client": ("server", "rss_per_client")}
    paced = {"clients": clients, "payload": 128, "rate": EVENTS_OVER_TLS, "group": "tls", "tls": True, "polls": False}
    ours = [*OURS[:2], "floor-tls"]
    title = f"Latency over TLS at {EVENTS_OVER_TLS * clients:,} deliveries/s to {clients:,} clients, 128 B"
    idlers = [Case(name, f"User-space memory for each of {n:,} idle clients over TLS", "bytes", "rss_per_client", "lower",
                   [*OURS, *PEERS], memory, "idle", clients=n, group="tls", tls=True, memory=True, rounds=1, seconds=0.5)
              for name, n in (("memory-tls", idle_tls), ("memory-tls-all", idle))]
    return [
        *[fan_out(in_flight, payload, clients, ["floor-tls"], True) for in_flight, payload in ((64, 128), (64, 1024), (1, 128))],
        Case("tls-latency", title, "ns, p99", "p99", "lower", [*ours, "nats-server", "nchan", "ws"], FAN_OUT, **paced),
        Case("tls-latency-storm", f"{title}, in a storm of handshakes", "ns, p99", "p99", "lower", [*ours, "nats-server", "nchan", "ws"],
             {**FAN_OUT, "handshakes_per_second": ("storm", "handshakes_per_second")}, storm=True, **paced),
        *(idlers if idle > idle_tls else idlers[:1]),
        *[handshakes(version, rsa, resumed) for version in ("1.3", "1.2") for rsa in (False, True) for resumed in (False, True)],
    ]


def http_cases(clients):
    ours = ["ringcast", "ringcast-history"]
    by_wrk = {"clients": CONNECTIONS, "payload": 128, "group": "http", "wrk": True, "polls": False}
    total, seconds = STAYING + COMING_BACK, 2 * CALM_SECONDS + AWAY_SECONDS + 4
    storm = ("--recover", "--share", f"{100 * COMING_BACK / total:.6f}", "--channels", "1", "--storm-after", str(CALM_SECONDS), "--storm-away", str(AWAY_SECONDS))
    return [
        Case("http-publish", f"POST /api/publish, an event of 128 B a request, {CONNECTIONS} connections; nginx: return 204", "requests/s",
             "requests_per_second", "higher", [*ours, "nginx"], REQUESTS, "wrk", **by_wrk),
        Case("http-publish-batch", f"POST /api/publish, {BATCH} events of 128 B a request, {CONNECTIONS} connections", "events/s",
             "published_per_second", "higher", ours, BATCHES, "wrk", batch=BATCH, **by_wrk),
        Case("sse-fanout", f"Server-sent events and WebSocket: fan-out to {clients:,} subscribers, 128 B, 64 events in flight", "deliveries/s",
             "deliveries_per_second", "higher", ["ringcast", "ringcast-sse"], FAN_OUT, clients=clients, payload=128, in_flight=64, group="http"),
        Case("recovery", f"{COMING_BACK:,} clients drop, come back and get the {MISSED} events of 256 B that they missed; {STAYING:,} stay", "seconds until all are back",
             "back_seconds", "lower", ["ringcast-history"], RECOVERY, "storm", clients=total, payload=256, rate=MISSED // AWAY_SECONDS, more=storm,
             group="http", away=AWAY_SECONDS, polls=False, seconds=seconds),
    ]


def command_cases(clients):
    both = {"scenario": "command", "group": "commands", "polls": False}

    def case(name, title, unit, primary, better, **more):
        payload = more.get("payload", 128)
        return Case(name, title, unit, primary, better, ["ringcast", "nats-server"], COMMANDS, payload=payload,
                    more=("--reply-size", str(payload), *more.pop("flags", ())), **{k: v for k, v in more.items() if k != "payload"}, **both)

    size = "128 B each way"
    return [
        case("command-1", f"Command and answer, {size}: one client, one in flight", "ns, p50", "rtt_p50", "lower", clients=1, in_flight=1),
        case("command-100", f"Commands and answers, {size}: 100 clients, each with one in flight", "commands/s", "commands_per_second", "higher",
             clients=100, in_flight=1),
        case("command", f"Commands and answers, {size}: {clients:,} clients, each with one in flight", "commands/s", "commands_per_second", "higher",
             clients=clients, in_flight=1),
        case("command-rate", f"Commands and answers, {size}: {COMMANDS_A_SECOND:,} a second of {clients:,} clients", "ns, p99", "rtt_p99", "lower",
             clients=clients, rate=COMMANDS_A_SECOND),
        case("command-1024", f"Commands and answers, 1 KiB each way: {clients:,} clients, each with one in flight", "commands/s", "commands_per_second",
             "higher", clients=clients, payload=1024, in_flight=1),
    ]


def all_cases(clients, idle, idle_tls):
    memory = {"rss_per_client": ("server", "rss_per_client")}
    return [
        fan_out(64, 128, clients, ["floor-coalesce", "floor-uring"]),
        fan_out(64, 1024, clients, ["floor-coalesce", "floor-uring"]),
        fan_out(1, 128, clients, ["floor-each"]),
        Case("latency", f"Latency at {EVENTS_A_SECOND * clients:,} deliveries/s to {clients:,} clients, 128 B", "ns, p99", "p99", "lower",
             ["ringcast", "ringcast-2-shards", "floor-coalesce", "floor-each", *PEERS], FAN_OUT,
             clients=clients, payload=128, rate=EVENTS_A_SECOND),
        Case("memory", f"User-space memory for each of {idle:,} idle clients with one channel", "bytes", "rss_per_client", "lower",
             ["ringcast", *PEERS], memory, "idle", clients=idle, memory=True, rounds=1, seconds=0.5),
        Case("ingest", "Events of 128 B taken from one connection, nobody subscribed", "events/s", "published_per_second", "higher",
             ["ringcast", "nats-server"], INGEST, "publish", payload=128, in_flight=4000),
        Case("startup", "From exec to the first WebSocket", "seconds", "startup_seconds", "lower",
             ["ringcast", *PEERS], {}, scenario=""),
        *tls_cases(clients, idle, idle_tls),
        *http_cases(clients),
        *command_cases(clients),
    ]


@dataclasses.dataclass
class Target:
    case: str
    text: str
    key: str            # the figure that is compared
    against: str        # the row that it is divided by; "": the figure itself is held against the bound
    bound: float
    better: str
    server: str = "ringcast"
    against_case: str = ""  # "": the same


# What ringcast must reach. A bound that the comparison has no server for (uWebSockets is in no package) is not here.
TARGETS = [
    Target("fanout-64-128", "at least 85 % of the coalesced-send floor's deliveries", "deliveries_per_second", "floor-coalesce", 0.85, "higher"),
    Target("fanout-64-128", "about 4 times NATS", "deliveries_per_second", "nats-server", 4, "higher"),
    Target("fanout-64-128", "80 times ws", "deliveries_per_second", "ws", 80, "higher"),
    Target("fanout-64-1024", "at least 85 % of the coalesced-send floor's deliveries", "deliveries_per_second", "floor-coalesce", 0.85, "higher"),
    Target("fanout-64-1024", "about 5 times NATS", "deliveries_per_second", "nats-server", 5, "higher"),
    Target("fanout-1-128", "CPU a delivery at most 5 % above a loop of send(2)", "cpu_ns_per_delivery", "floor-each", 1.05, "lower"),
    Target("latency", "p99 at most 10 % above the coalesced-send floor's", "p99", "floor-coalesce", 1.10, "lower"),
    Target("latency", "p99 with two shards about half of that with one", "p99", "ringcast", 0.6, "lower", "ringcast-2-shards"),
    Target("memory", "at most 256 B", "rss_per_client", "", 256, "lower"),
    Target("ingest", "more than NATS takes from one connection", "published_per_second", "nats-server", 1, "higher"),
    Target("sse-fanout", "at least 90 % of WebSocket's deliveries", "deliveries_per_second", "ringcast", 0.9, "higher", "ringcast-sse"),
    Target("sse-fanout", "CPU a delivery at most 11 % above WebSocket's", "cpu_ns_per_delivery", "ringcast", 1.11, "lower", "ringcast-sse"),
    Target("tls-fanout-64-128", "CPU a delivery at most 15 % above the floor's", "cpu_ns_per_delivery", "floor-tls", 1.15, "lower"),
    Target("tls-fanout-64-1024", "CPU a delivery at most 15 % above the floor's", "cpu_ns_per_delivery", "floor-tls", 1.15, "lower"),
    Target("tls-fanout-1-128", "CPU a delivery at most 15 % above the floor's", "cpu_ns_per_delivery", "floor-tls", 1.15, "lower"),
    Target("tls-latency-storm", "p99 at most doubled by the storm", "p99", "ringcast", 2, "lower", against_case="tls-latency"),
    Target("memory-tls", "at most 14 KiB, records made in user space", "rss_per_client", "", 14336, "lower"),
    Target("memory-tls", "at most 256 B, records made by the kernel", "rss_per_client", "", 256, "lower", "ringcast-ktls"),
    Target("handshakes-13-p256", "CPU a handshake at most 15 % above the floor's", "cpu_ns_per_handshake", "floor-tls", 1.15, "lower"),
    Target("handshakes-13-p256-resumed", "CPU a handshake at most 15 % above the floor's", "cpu_ns_per_handshake", "floor-tls", 1.15, "lower"),
]


def judge(case_results):
    """The targets of the cases that were run, as they stand in the JSON."""
    rows = {(case["name"], row["server"]): row.get("median", {}) for case in case_results for row in case["rows"]}
    judged = []
    for t in TARGETS:
        if not any(case["name"] == t.case for case in case_results):
            continue
        value = rows.get((t.case, t.server), {}).get(t.key)
        if t.against and value is not None:
            floor = rows.get((t.against_case or t.case, t.against), {}).get(t.key)
            value = value / floor if floor else None
        met = None if value is None else value >= t.bound if t.better == "higher" else value <= t.bound
        judged.append({"case": t.case, "text": t.text, "unit": "ratio" if t.against else t.key, "value": value,
                       "bound": t.bound, "better": t.better, "met": met})
    return judged
