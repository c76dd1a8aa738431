# SPDX-License-Identifier: Apache-2.0
"""Backends that are written with the C library: its examples as they are, the chat and the order desk, and what becomes of their commands
when one of them dies, or is slow, or the gateway comes back."""
import os
import signal
import subprocess
import threading

import pytest

import rcgateway
import rcjwt
from deadline import Deadline, eventually
from rcingest import Wire

EXAMPLES = os.path.join(os.path.dirname(rcgateway.BINARY), "examples")
SETTINGS = {"auth.hmac_secret": rcjwt.SECRET, "auth.anonymous": "yes", "auth.allow_command": "anyone", "backends.command_timeout": "30s",
            "namespace.allow_subscribe": "anyone"}


class Example:
    """A running example, and the lines that it says."""

    def __init__(self, name, g, folder):
        self.lines, self.changed = [], threading.Condition()
        self.errors = open(os.path.join(folder, f"{name}.errors"), "a+")
        self.process = subprocess.Popen([os.path.join(EXAMPLES, name), "%s:%d" % g.ingest], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True, env=rcgateway.environment(folder))
        self.reader = threading.Thread(target=self._follow, daemon=True)
        self.reader.start()

    def _follow(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.strip())
                self.changed.notify_all()

    def wait_line(self, start, count=1):
        """So many lines begin with it."""
        deadline = Deadline()
        with self.changed:
            while sum(line.startswith(start) for line in self.lines) < count:
                self.changed.wait(deadline.left())
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.returncode is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        status = self.process.wait(Deadline().left())
        self.close()
        assert status == 0, f"status {status}"

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(10)
        self.process.stdout.close()
        if not self.errors.closed:
            self.errors.seek(0)
            said = self.errors.read()
            self.errors.close()
            assert not rcgateway.REPORTS.search(said), said


@pytest.fixture
def example(folder):
    """example(g, "chat") is registered."""
    running = []

    def start(g, name):
        running.append(Example(name, g, folder))
        return running[-1].wait_line("registered")
    yield start
    for e in running:
        e.close()


def of(user):
    return "/ws?token=" + rcjwt.make({"sub": user})


def ask(c, number, kind, **payload):
    c.say(type=kind, id=number, payload=payload)


def answers(c, count):
    """By their ids: replies as data, errors as codes."""
    got = {}
    for _ in range(count):
        m = c.await_type("reply", "error")
        assert m["id"] not in got
        got[m["id"]] = m["data"] if m["type"] == "reply" else m["code"]
    return got


def answer(c, number):
    return answers(c, 1)[number]


def moves(c, number, kind, room):
    """Into a room or out of it: the desk's answer and the gateway's word, which know nothing of each other."""
    ask(c, number, kind, room=room)
    said = sorted((c.await_type("reply", "subscription-ack", "unsubscription-ack") for _ in range(2)), key=lambda m: m["type"])
    assert said[0] == {"type": "reply", "id": number, "timestamp": said[0]["timestamp"], "data": None}
    assert said[1]["data"]["channels"] == [f"room:{room}"] and "id" not in said[1]


def heard(c):
    """What is said in the room, but for who comes and goes; whether a client hears of itself is open."""
    while True:
        e = c.next_event()
        if e["event"] not in ("joined", "left"):
            assert e["channel"] == "room:tea"
            return e["event"], e["data"]


def test_1_the_chat(gateway, connect, example):
    """Rooms are joined by the backend; what is said comes to all in the room in one order, to nobody else, and typing is shown."""
    g = gateway({**SETTINGS, "namespace.allow_subscribe": "nobody"})
    chat = example(g, "chat")
    anna, bert, carl = (connect(g, of(u)) for u in ("anna", 'be"rt', "carl"))
    moves(anna, 1, "chat:join", "tea")
    moves(bert, 1, "chat:join", "tea")
    while anna.next_event()["data"] != {"from": 'be"rt'}:
        pass
    bert.say(type="chat:typing", payload={"room": "tea"})
    assert "id" not in bert.await_type("reply")
    ask(bert, 2, "chat:send", text='hi "all" \u263a', room="tea")
    assert answer(bert, 2) is None
    for c in (anna, bert):
        assert heard(c) == ("typing", {"from": 'be"rt'})
        assert heard(c) == ("said", {"from": 'be"rt', "text": 'hi "all" \u263a'})
    for number, payload, code in [(3, {"text": "x"}, "bad_room"), (4, {"room": "a b", "text": "x"}, "bad_room"),
                                  (5, {"room": "tea", "text": 7}, "bad_text"), (6, {"x": {"room": "tea"}}, "bad_room")]:
        ask(carl, number, "chat:send", **payload)
        assert answer(carl, number) == code
    moves(anna, 9, "chat:leave", "tea")
    ask(bert, 10, "chat:send", room="tea", text="gone?")
    assert answer(bert, 10) is None
    assert heard(bert) == ("said", {"from": 'be"rt', "text": "gone?"})
    for c in (anna, carl):
        c.barrier()
    assert not [e for e in anna.events if e["event"] == "said"] and carl.events == []
    chat.stop()
    ask(carl, 11, "chat:join", room="tea")
    assert answer(carl, 11) == "no_backend"


def test_2_the_order_desk(gateway, connect, example):
    g = gateway(SETTINGS)
    desk = example(g, "orders")
    anna, phone, world = connect(g, of("anna")), connect(g, of("anna")), connect(g)
    world.subscribe("orders:*")
    ask(anna, 1, "order:place", customer="anna", item="tea", count=2)
    order = answer(anna, 1)["order"]
    for c in (anna, phone):
        e = c.await_type("event") if not c.events else c.events.pop(0)
        assert (e["event"], e["data"]) == ("order:ready", {"order": order, "item": "tea"})
    e = world.next_event()
    assert (e["channel"], e["event"], e["data"]["order"]) == ("orders:tea", "order:placed", order)
    ask(anna, 2, "order:cancel", customer="anna", order=order)
    assert answer(anna, 2) is None
    ask(anna, 3, "order:cancel", customer="anna", order=order)
    assert answer(anna, 3) == "no_such_order"
    ask(anna, 4, "order:place", customer="anna", item="")
    assert answer(anna, 4) == "bad_item"
    world.say(type="command", id=5, action="stock")
    assert answer(world, 5) == {"placed": 1, "cancelled": 1}
    desk.stop()


def outstanding(g, count):
    eventually(lambda: g.counter("commands_outstanding") == count, f"{count} commands are with the backends")


def test_3_a_desk_is_killed_with_orders_in_its_hands(gateway, connect, example):
    """Orders may be given to another desk, and each is answered once; what may not is answered timeout at once."""
    g = gateway({**SETTINGS, "backends.command_timeout": "60s"})
    desks = [example(g, "orders"), example(g, "orders")]
    clients = [connect(g) for _ in range(4)]
    # It stands still: what it has been given stays with it.
    desks[0].signal(signal.SIGSTOP)
    for c in clients:
        for n in range(20):
            ask(c, n, "order:place", customer=f"c{n}", item="tea")
        for n in range(20, 30):
            c.say(type="command", id=n, action="stock")
    eventually(lambda: g.counter("commands") == 120 and g.counter("command_replies") + g.counter("commands_outstanding") == 120,
               "all are with the one desk or the other")
    desks[0].signal(signal.SIGKILL)
    lost = 0
    for c in clients:
        got = answers(c, 30)
        assert sorted(got) == list(range(30))
        assert all(isinstance(got[n], dict) for n in range(20)), got
        lost += sum(got[n] == "timeout" for n in range(20, 30))
        assert all(isinstance(got[n], dict) or got[n] == "timeout" for n in range(20, 30))
    # In turn: half of what nobody may be given again.
    assert lost == 20 and g.counter("commands_handed_over") > 0
    outstanding(g, 0)
    desks[1].stop()


def test_4_the_gateway_comes_back(gateway, connect, example):
    """The desk registers again by itself. Its replies to the old gateway's commands go nowhere."""
    g = gateway(SETTINGS)
    desk, c = example(g, "orders"), connect(g)
    ask(c, 1, "order:place", customer="x", item="tea")
    assert "order" in answer(c, 1)
    desk.signal(signal.SIGSTOP)
    ask(c, 2, "order:place", customer="x", item="tea")
    outstanding(g, 1)
    g.kill()
    g.judged = True
    c.drop()
    after = gateway(SETTINGS, listen="%s:%d" % g.http, ingest="%s:%d" % g.ingest)
    desk.signal(signal.SIGCONT)
    desk.wait_line("registered", 2)
    c = connect(after)
    ask(c, 3, "order:place", customer="x", item="tea")
    assert "order" in answer(c, 3)
    assert after.counter("replies_unknown") == 0
    assert not any(line.startswith("error") for line in desk.lines)
    desk.stop()


def test_5_a_desk_that_is_slow(gateway, connect, example):
    """The client is told in time; the late reply is passed over, and said to the backend if its shard knows."""
    g = gateway({**SETTINGS, "backends.command_timeout": "500ms"})
    desk, c = example(g, "orders"), connect(g)
    desk.signal(signal.SIGSTOP)
    c.say(type="command", id=1, action="stock")
    assert answer(c, 1) == "timeout"
    desk.signal(signal.SIGCONT)
    # The shard of the client and that of the desk look at the clock by themselves.
    eventually(lambda: g.counter("replies_late") + g.counter("replies_unknown") == 1, "the late reply is counted")
    if g.counter("replies_unknown"):
        desk.wait_line(f"error {Wire.ERROR_UNKNOWN_COMMAND}")
    c.say(type="command", id=2, action="stock")
    assert answer(c, 2) == {"placed": 0, "cancelled": 0}
    desk.stop()
