# SPDX-License-Identifier: Apache-2.0
"""Time limits. A test waits for events; time only bounds how long it may take before that is a failure.

Every number of seconds in the suites is for an uninstrumented gateway on an idle machine; RINGCAST_SLOW (a factor) stretches all of
them alike, which the runner does for sanitizers.
"""
import contextlib
import os
import signal
import threading
import time

SLOW = float(os.environ.get("RINGCAST_SLOW", "1"))
# What an answer that comes at once may take.
SOON = 20.0


class DeadlineExceeded(SystemExit):
    """A SystemExit, because asyncio carries that (and KeyboardInterrupt) out of its callbacks, and pytest counts it as a failure."""

    def __str__(self):
        return f"DeadlineExceeded: {self.args[0]}"


@contextlib.contextmanager
def limit(seconds, what):
    seconds *= SLOW

    def over(signum, frame):
        raise DeadlineExceeded(f"{what} took longer than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, over)
    # Again and again: the first one may come where only a clean-up is interrupted.
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Deadline:
    def __init__(self, seconds=SOON):
        self.seconds = seconds * SLOW
        self.at = time.monotonic() + self.seconds

    def left(self):
        """Seconds until then; TimeoutError when it is over."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing happened in {self.seconds:.0f} s")
        return left


def eventually(condition, what, seconds=SOON, every=0.02):
    """For what can only be asked for (a gauge, /proc): asks until the answer is truthy, and returns it."""
    deadline = Deadline(seconds)
    while True:
        value = condition()
        if value:
            return value
        try:
            deadline.left()
        except TimeoutError:
            raise AssertionError(f"not within {deadline.seconds:.0f} s: {what}; last seen {value!r}") from None
        time.sleep(every)


@contextlib.contextmanager
def background(work):
    """Runs work() in a thread beside the test; its failure is the test's."""
    failure = []

    def run():
        try:
            work()
        except BaseException as e:  # noqa: BLE001, raised below
            failure.append(e)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(60 * SLOW)
    assert not thread.is_alive(), "still running"
    if failure:
        raise failure[0]
