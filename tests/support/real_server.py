"""`saymask serve` as users run it: a process of its own on a free port, that can be killed and started again on the same data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class RealServer:
    """A process and its address.

    Args:
        data: its folder; a second server on it goes on where the first one ended.
        command: what starts it instead, and prints its address.
    """

    def __init__(self, data: Path, command: Sequence[str] = ()):
        self.log = data.parent / f"{data.name}.log"
        serve = ("-m", "saymask", "serve", "-m", "toy", "--port", "0", "--data", str(data), "--device", "cpu", "--dtype", "float32")
        self._command = [sys.executable, *(command or serve)]
        self._environment = {name: value for name, value in os.environ.items() if name != "SAYMASK_TOKEN"}

    def __enter__(self) -> RealServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it says its address."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, env=self._environment, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+?:(\d+)/", line)
        assert found, f"the server did not start: {line!r} {self.log.read_text()[-2000:]}"
        self.port = int(found[1])
        self.address = f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """As a power cut would end it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def peak_bytes(self) -> int:
        """The most memory that the process has had (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]
