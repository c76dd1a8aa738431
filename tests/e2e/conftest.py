# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests; README.md says how they are run."""
import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import tempfile

import pytest

import deadline
import rcdash
import rcgateway
import rcload
import rcpage
import rcsiege
import rctls
from rchistory import Reader
from rcingest import Publisher
from rcsse import SseClient
from rcws import JsonClient


def pytest_addoption(parser):
    parser.addoption("--shards", default="1,2", help="how many shards to run each test with, a list")


def pytest_configure(config):
    config.addinivalue_line("markers", "deadline(seconds): how long the test may take; 60 when not said")
    config.addinivalue_line("markers", "tsan: also run under ThreadSanitizer")
    config.addinivalue_line("markers", "one_shard: the number of shards makes no difference")
    config.addinivalue_line("markers", "attack: of the list of attacks, `make test-attacks`")
    config.addinivalue_line("markers", "web: takes long in a browser or in node; left to `make test-web`")
    config.addinivalue_line("markers", "one_path: who makes the TLS records makes no difference")


def pytest_generate_tests(metafunc):
    if "shards" in metafunc.fixturenames:
        counts = [int(n) for n in metafunc.config.getoption("--shards").split(",")]
        if metafunc.definition.get_closest_marker("one_shard"):
            # Belongs to the run with one shard; the run with two alone leaves it out.
            counts = [n for n in counts if n == 1]
        elif getattr(metafunc.module, "TWO_SHARDS", False):
            # What one shard shows is shown elsewhere.
            counts = [n for n in counts if n != 1]
        metafunc.parametrize("shards", counts, ids=[f"{n}shard{'s' * (n > 1)}" for n in counts], scope="session")
    if "tls" in metafunc.fixturenames and getattr(metafunc.module, "OVER_TLS", False):
        paths = ["user"] if metafunc.definition.get_closest_marker("one_path") else ["user", "kernel"]
        metafunc.parametrize("tls", paths, scope="session")


def pytest_collection_modifyitems(config, items):
    # An empty list of shards makes pytest put in a skipped test; those say nothing.
    left_out = [i for i in items if any("got empty parameter set" in m.kwargs.get("reason", "")
                                        for m in i.iter_markers("skip"))]
    # Where the kernel has no TLS, one test of each file says so.
    without = [i for i in items if i not in left_out and hasattr(i, "callspec") and i.callspec.params.get("tls") == "kernel"]
    if without and no_kernel_tls():
        modules = {i.module: i for i in reversed(without)}
        left_out += [i for i in without if modules[i.module] is not i]
    # Who knows nothing of shards belongs to the run with one.
    if config.getoption("--shards") == "2":
        left_out += [i for i in items if not hasattr(i, "callspec") or "shards" not in i.callspec.params]
    # One test of each file says that there is more.
    if os.environ.get("RINGCAST_WEB") != "all":
        long = [i for i in items if i.get_closest_marker("web") and i not in left_out]
        modules = {i.module: i for i in reversed(long)}
        left_out += [i for i in long if modules[i.module] is not i]
        for i in modules.values():
            i.add_marker(pytest.mark.skip(reason=f"{sum(k.module is i.module for k in long)} tests of this file are left to make test-web"))
    gone = set(map(id, left_out))
    items[:] = [i for i in items if id(i) not in gone]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    marker = item.get_closest_marker("deadline")
    with deadline.limit(marker.args[0] if marker else 60, item.name):
        yield


def failed(request):
    report = getattr(request.node, "report_call", None)
    return report is None or report.failed


@pytest.fixture
def folder():
    """A private folder with a short name: paths of sockets and counters have limits."""
    path = tempfile.mkdtemp(prefix="rc-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def need_binary():
    if not os.access(rcgateway.BINARY, os.X_OK):
        pytest.exit(f"{rcgateway.BINARY} is not there: make VARIANT=asan, or set RINGCAST_BIN", 3)


@functools.lru_cache(maxsize=None)
def pki_of_session():
    folder = tempfile.mkdtemp(prefix="rc-pki-")
    atexit.register(shutil.rmtree, folder, True)
    return rctls.Pki(folder)


@pytest.fixture(scope="session")
def pki():
    return pki_of_session()


@functools.lru_cache(maxsize=None)
def no_kernel_tls():
    """The gateway's own words where it cannot leave the records to the kernel, else None."""
    need_binary()
    folder = tempfile.mkdtemp(prefix="rc-")
    g = rcgateway.Gateway(folder, {"tls.kernel": "yes"}, pki=pki_of_session())
    try:
        g.wait_ready()
    except AssertionError:
        return g.log.splitlines()[-1]
    finally:
        g.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return None


@pytest.fixture(scope="session")
def tls():
    """Who makes the TLS records: "user" (the gateway), "kernel", "auto"; None: no TLS. A module with OVER_TLS = True is run with both; all
    others as RINGCAST_TLS says."""
    return os.environ.get("RINGCAST_TLS") or None


def over_tls(settings, tls):
    """(settings, pki) of a gateway that speaks TLS in this way."""
    if not tls:
        return settings, None
    if tls == "kernel" and no_kernel_tls():
        pytest.skip(no_kernel_tls())
    return {"tls.kernel": {"user": "no", "kernel": "yes", "auto": "auto"}[tls], **(settings or {})}, pki_of_session()


@pytest.fixture
def gateway(request, folder, shards, tls):
    """Starts gateways: gateway({"heartbeat": "1s"}). Each is asked to end after the test, and must do so with status 0."""
    need_binary()
    running = []

    def start(settings=None, ready=True, **options):
        options.setdefault("shards", shards)
        settings, pki = over_tls(settings, tls)
        options.setdefault("pki", pki)
        g = rcgateway.Gateway(folder, settings, **options)
        running.append(g)
        return g.wait_ready() if ready else g

    yield start
    wrong = []
    for g in running:
        try:
            if failed(request) or g.judged:
                g.assert_clean()
            else:
                with deadline.limit(60, "the end of the gateway"):
                    g.stop()
        except (AssertionError, deadline.DeadlineExceeded) as e:
            wrong.append(str(e))
        finally:
            g.kill()
            if failed(request):
                print(f"---- log of the gateway, pid {g.pid}: {' '.join(g.command)}\n{g.log[-6000:]}")
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def shared_gateway(_gateway_of_module):
    """One gateway with default settings and the echo endpoint for all tests of a module that leave nothing behind."""
    g = _gateway_of_module
    assert g.process.poll() is None, f"the gateway is gone since an earlier test:\n{g.log[-6000:]}"
    yield g
    g.assert_clean()


@pytest.fixture(scope="module")
def _gateway_of_module(request, shards, tls):
    need_binary()
    settings, pki = over_tls(getattr(request.module, "SETTINGS", None), tls)
    folder = tempfile.mkdtemp(prefix="rc-")
    g = rcgateway.Gateway(folder, settings, shards=shards, pki=pki)
    try:
        yield g.wait_ready()
        with deadline.limit(60, "the end of the gateway"):
            g.stop()
    finally:
        g.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def page_modules():
    rcpage.browser()
    npm_modules("axe-core", 4)
    return npm_modules("playwright-core", 1)


@pytest.fixture
def browser(page_modules, folder):
    b = rcdash.Browser(page_modules, folder)
    yield b
    b.end()


@pytest.fixture
def page(browser, gateway):
    """A gateway with default rights, and its dashboard, which has heard a snapshot."""
    g = gateway(rcdash.SETTINGS)
    browser.g = g
    browser.answer = browser.open(rcdash.home(g))
    browser.until("Healthy", "#state")
    return browser


@functools.lru_cache(maxsize=None)
def keys_of_session():
    folder = tempfile.mkdtemp(prefix="rc-keys-")
    atexit.register(shutil.rmtree, folder, True)
    return rcsiege.Keys(folder)


@pytest.fixture(scope="session")
def keys():
    """Keys of every kind, and the settings by which a gateway takes what they sign."""
    return keys_of_session()


@pytest.fixture(scope="module")
def _siege_of_module(request, shards, keys):
    need_binary()
    settings, with_tls = request.module.place(keys)
    s = rcsiege.Siege(settings, pki_of_session() if with_tls else None, shards=shards)
    try:
        yield s
        s.back()
    except BaseException:
        s.end(judge=False)
        raise
    s.end()


@pytest.fixture
def siege(_siege_of_module, request):
    """The gateway of the module that place(keys) describes, as (settings, whether with TLS), with a good client who is looked after: see rcsiege.py."""
    s = _siege_of_module
    s.begin()
    yield s
    if not failed(request):
        with deadline.limit(60, "the gateway's recovery"):
            s.done(whole=not getattr(request.module, "BACK_AT_THE_END", False))
    else:
        print(f"---- log of the gateway\n{s.g.log[-3000:]}")


@pytest.fixture
def connect():
    """connect(gateway, "/ws?channel=a") is a client that has been greeted; all are closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda g, path="/ws", **options: stack.enter_context(JsonClient.greeted(g.http, path, **options))


@pytest.fixture
def publisher():
    """publisher(gateway, "id") is a publisher that has said HELLO; all are closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda g, ident="", **options: stack.enter_context(Publisher.greeted(g.ingest, ident, **options))


@pytest.fixture
def reader():
    """reader(gateway, "/ws?channel=a") is a client that minds positions and gaps; all are closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda g, path="/ws", **options: stack.enter_context(Reader.greeted(g.http, path, **options))


@pytest.fixture
def sse():
    """sse(gateway, "/events?channel=a") is an event stream whose first block was read; all are closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda g, path="/events", **options: stack.enter_context(SseClient.greeted(g.http, path, **options))


@pytest.fixture
def load(folder, shards):
    """load("fanout", "--clients", 10) runs the generator to its end; load.start(…) gives the running one. It knows nothing of shards, but
    its tests are parametrized like those of the gateway."""
    if not os.access(rcload.BINARY, os.X_OK):
        pytest.exit(f"{rcload.BINARY} is not there: make VARIANT=asan load, or set RINGCAST_LOAD", 3)
    running = []

    def start(*args, **options):
        running.append(rcload.Load(folder, *args, **options))
        return running[-1]

    def run(*args, seconds=40, **options):
        return start(*args, **options).wait(seconds)

    run.start = start
    yield run
    for g in running:
        g.kill()


def npm_modules(package, version):
    """The folder of node's modules with this package in it; skips with the reason when there is none."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    modules = os.path.join(rcgateway.ROOT, "build/npm/node_modules")
    if not os.path.isdir(os.path.join(modules, package)):
        if not shutil.which("npm"):
            pytest.skip("npm is not installed")
        done = subprocess.run(["npm", "install", "--prefix", "build/npm", f"{package}@{version}", "--no-audit", "--no-fund",
                               "--ignore-scripts"], cwd=rcgateway.ROOT, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"npm could not install {package}: {done.stderr.strip().splitlines()[-1:]}")
    return modules


@pytest.fixture(scope="session")
def node_ws():
    """The folder to run node in, with the npm package ws."""
    return npm_modules("ws", 8)


@pytest.fixture(scope="session")
def node_eventsource():
    """The same with the npm package eventsource."""
    return npm_modules("eventsource", 3)


@pytest.fixture(scope="session")
def node_jose():
    """The same with the npm package jose."""
    return npm_modules("jose", 5)
