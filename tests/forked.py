"""Operators that are forked from a process that has imported the operator.

To import it takes a second of CPU, and the tests start it more than a hundred times. What is
forked is a process like any other, with an environment, a log and a memory of its own.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PAUSE_SECONDS = 0.02


class Process:
    """One that was forked, with the part of :class:`subprocess.Popen` that tests use."""

    def __init__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], output: Path
    ) -> None:
        """Run ``securetenant`` with these arguments; what it prints is appended to ``output``."""
        self.returncode: int | None = None
        output.touch()
        self.pid: int = _template().ask(
            arguments=list(arguments), environment=dict(environment), output=str(output)
        )

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = _template().ask(pid=self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait until it has ended; raises ``TimeoutExpired``."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("securetenant", timeout)
            time.sleep(_PAUSE_SECONDS)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


class _Template:
    """What is forked: this file, run by itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "operator")},
        )
        atexit.register(self._end)

    def ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def _end(self) -> None:
        self._process.communicate()


@functools.cache
def _template() -> _Template:
    return _Template()


def _serve() -> None:
    """Fork and look after what was forked, until nobody asks any more."""
    importlib.import_module("securetenant.cli.run")
    # Ctrl-C is for those who ask; what was forked is theirs to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is not collected is not written to, and stays shared.
    gc.freeze()
    for line in sys.stdin:
        question = json.loads(line)
        if pid := question.get("pid"):
            ended, status = os.waitpid(pid, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        elif not (answer := os.fork()):
            return _become(question)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return None


def _become(question: Any) -> None:
    """Run the program, as if it had been started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()
    output = os.open(question["output"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, theirs in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(ours, theirs)
    os.environ.clear()
    os.environ.update(question["environment"])
    program = importlib.import_module("securetenant.cli.main")
    program.main(question["arguments"], prog_name="securetenant")


if __name__ == "__main__":
    _serve()
