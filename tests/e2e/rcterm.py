# SPDX-License-Identifier: Apache-2.0
"""A program in a pseudo-terminal, and what its screen shows: as much of a terminal as `ringcast top` asks of one, and strict about the rest."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

from deadline import SLOW, Deadline

SEQUENCE = re.compile(rb"\x1b\[(\??)([\d;]*)([A-Za-z])")


class Screen:
    """What the bytes so far have made of it. .rows are lines of text without trailing blanks."""

    def __init__(self, width, height):
        self.alternate, self.cursor_shown = False, True
        # What a shell would have left there.
        self.other = None
        # Somebody else writes there as well, as a shell does on whatever screen it finds.
        self.shared = False
        self.resize(width, height)
        self.held, self.styles, self.sequences = b"", set(), 0

    def resize(self, width, height):
        self.width, self.height = width, height
        self.cells = [[" "] * width for _ in range(height)]
        self.row = self.col = 0

    def feed(self, data):
        data, self.held = self.held + data, b""
        at = 0
        while at < len(data):
            if data[at] == 0x1B:
                found = SEQUENCE.match(data, at)
                if not found:
                    assert len(data) - at < 32, f"no sequence that this terminal knows: {data[at:at + 40]!r}"
                    self.held = data[at:]
                    return
                self.sequence(found[1], found[2].decode(), found[3])
                at = found.end()
                continue
            size = 1 if data[at] < 0x80 else 3
            if at + size > len(data):
                self.held = data[at:]
                return
            self.put(data[at:at + size].decode())
            at += size

    def sequence(self, private, params, final):
        self.sequences += 1
        if private:
            assert params in ("1049", "25") and final in b"hl", (params, final)
            if params == "25":
                self.cursor_shown = final == b"h"
            elif (final == b"h") != self.alternate:
                self.alternate = final == b"h"
                self.cells, self.other = self.other or [[" "] * self.width for _ in range(self.height)], self.cells
            return
        if final == b"H":
            row, col = (int(n) for n in params.split(";"))
            assert 1 <= row <= self.height and 1 <= col <= self.width, f"the cursor is sent to {row};{col}"
            self.row, self.col = row - 1, col - 1
        elif final == b"K":
            assert params == ""
            self.cells[self.row][self.col:] = [" "] * (self.width - self.col)
        elif final == b"J":
            assert params == "2"
            self.cells = [[" "] * self.width for _ in range(self.height)]
        elif final == b"m":
            self.styles.update(params.split(";"))
        else:
            raise AssertionError(f"CSI {params} {final}")

    def put(self, c):
        if not self.alternate:
            # Where a shell writes: of no interest.
            return
        if self.shared and (c < " " or self.col >= self.width):
            return
        assert c >= " " and c != "\x7f", f"control character {c!r} in a picture"
        assert self.col < self.width, f"row {self.row} is wider than {self.width}: {self.text!r}"
        self.cells[self.row][self.col] = c
        self.col += 1

    @property
    def rows(self):
        return ["".join(row).rstrip() for row in self.cells]

    @property
    def text(self):
        return "\n".join(self.rows)


class Terminal:
    """A process whose standard files are a pseudo-terminal of this size; it leads a session there, as a login shell's child would."""

    def __init__(self, command, width=80, height=24, env=None, stdout=None, cwd=None):
        self.master, slave = pty.openpty()
        self.screen = Screen(width, height)
        self.raw = b""
        self.set_size(slave, width, height)
        self.slave = slave  # kept, so that the modes can be looked at when the process is gone
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave if stdout is None else stdout, stderr=slave, env=env, cwd=cwd, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    @staticmethod
    def set_size(fd, width, height):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width, height):
        # What comes from now on may still be of the old size: the next whole picture is what counts.
        self.drain(0)
        self.screen.resize(width, height)
        self.set_size(self.master, width, height)

    def drain(self, seconds):
        """Takes what comes within that time; False when nothing did, or the other side is closed."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += data
        self.screen.feed(data)
        return bool(data)

    def until(self, condition, what, seconds=20):
        """Follows the screen until condition(screen) is truthy, and returns that. A string: that text is shown."""
        asked = condition if callable(condition) else lambda screen: condition in screen.text
        deadline = Deadline(seconds)
        while not (value := asked(self.screen)):
            try:
                left = deadline.left()
            except TimeoutError:
                raise AssertionError(f"not within {deadline.seconds:.0f} s: {what}; the screen:\n{self.screen.text}") from None
            if not self.drain(min(left, 0.2)) and self.process.poll() is not None and not self.drain(0):
                raise AssertionError(f"ended with {self.process.returncode} before {what}:\n{self.screen.text}\n{self.raw[-2000:]!r}")
        return value

    def type(self, keys):
        os.write(self.master, keys if isinstance(keys, bytes) else keys.encode())

    def modes(self):
        return termios.tcgetattr(self.slave)

    def wait(self, seconds=20):
        """The status; what it wrote until then is on the screen."""
        deadline = Deadline(seconds)
        while self.process.poll() is None:
            deadline.left()
            self.drain(0.05)
        while self.drain(0.05):
            pass
        return self.process.returncode

    def assert_restored(self):
        assert self.modes() == self.before, "the modes of the terminal are others than before"
        assert self.screen.cursor_shown and not self.screen.alternate, "the screen is not given back"

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10 * SLOW)
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
