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
EVENTS_A_SECOND = 100  # of the latency case: 100,000 deliveries to 1,000 clients


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
    tls: bool = False
    memory: bool = False  # is all that is looked at: the generator may sleep, and may be disturbed
    rounds: int = 1000  # at most: what hardly varies is not measured so often
    seconds: float = 0  # of the window; 0: what was asked for

    def arguments(self):
        """For the generator."""
        flags = []
        for name in ("clients", "payload", "in_flight", "rate"):
            if getattr(self, name):
                flags += ["--" + name.replace("_", "-"), str(getattr(self, name))]
        return [self.scenario, *flags]


def fan_out(in_flight, payload, clients, floors):
    size = f"{payload} B" if payload < 1024 else f"{payload // 1024} KiB"
    title = f"Fan-out to {clients:,} subscribers, {size}, " + \
        ("one event" if in_flight == 1 else f"{in_flight} events") + " in flight"
    lower = in_flight == 1
    return Case(f"fanout-{in_flight}-{payload}", title, "ns of server CPU a delivery" if lower else "deliveries/s",
                "cpu_ns_per_delivery" if lower else "deliveries_per_second", "lower" if lower else "higher",
                ["ringcast", *floors, *PEERS], FAN_OUT, clients=clients, payload=payload, in_flight=in_flight)


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
        Case("memory-tls", f"User-space memory for each of {idle_tls:,} idle clients over TLS", "bytes", "rss_per_client", "lower",
             ["ringcast", *PEERS], memory, "idle", clients=idle_tls, tls=True, memory=True, rounds=1, seconds=0.5),
        Case("ingest", "Events of 128 B taken from one connection, nobody subscribed", "events/s", "published_per_second", "higher",
             ["ringcast", "nats-server"], INGEST, "publish", payload=128, in_flight=4000),
        Case("startup", "From exec to the first WebSocket", "seconds", "startup_seconds", "lower",
             ["ringcast", *PEERS], {}, scenario=""),
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
    Target("memory-tls", "at most 256 B", "rss_per_client", "", 256, "lower"),
    Target("ingest", "more than NATS takes from one connection", "published_per_second", "nats-server", 1, "higher"),
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
            floor = rows.get((t.case, t.against), {}).get(t.key)
            value = value / floor if floor else None
        met = None if value is None else value >= t.bound if t.better == "higher" else value <= t.bound
        judged.append({"case": t.case, "text": t.text, "unit": "ratio" if t.against else t.key, "value": value,
                       "bound": t.bound, "better": t.better, "met": met})
    return judged
