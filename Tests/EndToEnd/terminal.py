"""A program in a real terminal: what it shows, and what a person types."""

import contextlib
import errno
import fcntl
import os
import pty
import re
import signal
import struct
import termios
import threading
import time

CONTROL = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class Terminal:
    """A child with a terminal of its own as standard input and output (and error, unless told otherwise)."""

    def __init__(self, *command, rows=40, columns=140, cwd=None):
        self.command, self.size, self.cwd = [str(word) for word in command], (rows, columns), cwd
        self.bytes, self.lock = b"", threading.Lock()

    def __enter__(self):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            with contextlib.suppress(OSError):
                os.chdir(self.cwd or os.getcwd())
                os.execv(self.command[0], self.command)
            os._exit(127)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", *self.size, 0, 0))
        self.code = None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(AssertionError):
                self.wait(30)
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(10)
        self.reader.join(5)
        os.close(self.descriptor)

    def read(self):
        while True:
            try:
                piece = os.read(self.descriptor, 65536)
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                return
            if not piece:
                return
            with self.lock:
                self.bytes += piece

    @property
    def raw(self):
        with self.lock:
            return self.bytes.decode(errors="replace")

    @property
    def text(self):
        """All that was shown, without the control sequences."""
        return CONTROL.sub("", self.raw).replace("\r\n", "\n").replace("\r", "\n")

    def mark(self):
        """From here on; give it to `await_text`."""
        return len(self.text)

    def type(self, line):
        """Types a line; returns the mark from before it."""
        mark = self.mark()
        os.write(self.descriptor, (line + "\n").encode())
        return mark

    def press(self, character):
        os.write(self.descriptor, bytes([ord(character) & 0x1F]))

    def await_text(self, pattern, since=0, deadline=60):
        """Waits until something like `pattern` is shown after the mark; returns the match."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            found = re.search(pattern, self.text[since:])
            if found:
                return found
            if self.poll() is not None:
                self.reader.join(2)
                found = re.search(pattern, self.text[since:])
                if found:
                    return found
                break
            time.sleep(0.02)
        raise AssertionError(f"not shown within {deadline} s: {pattern}; shown was:\n{self.text[since:][-3000:]}")

    @property
    def echoes(self):
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self.descriptor)[3] & termios.ECHO)

    def poll(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, deadline=30):
        end = time.monotonic() + deadline
        while self.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"still runs after {deadline} s; shown was:\n{self.text[-3000:]}")
            time.sleep(0.02)
        # What it wrote last is on its way yet.
        self.reader.join(5)
        return self.code
