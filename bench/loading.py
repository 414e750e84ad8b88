"""Memory while a model loads: what the process holds at most, beside what the weights are.

    python bench/loading.py MODEL [--dtype int8]

Prints JSON: bytes of all parameters and packed weights after loading; the most memory of its own that the process had while loading, beyond
what it had after the imports (Linux; sampled every 5 ms; pages of mapped files, which the system takes back at will, are counted apart).
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from pathlib import Path

from saymask import load_model
from saymask.models.int8 import Int8Linear


def memory(kind: str) -> int:
    """Bytes of one kind of this process's memory: "RssAnon" or "RssFile"."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))


class Peak:
    """The most memory of each kind while the block runs."""

    def __enter__(self) -> Peak:
        self.own, self.mapped, self._on = 0, 0, True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while self._on:
            self.own, self.mapped = max(self.own, memory("RssAnon")), max(self.mapped, memory("RssFile"))
            time.sleep(0.005)

    def __exit__(self, *error: object) -> None:
        self._on = False
        self._thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the memory that loading a model takes.")
    parser.add_argument("model")
    parser.add_argument("--dtype")
    options = parser.parse_args()
    load_model("toy", "cpu", options.dtype)  # so that imports are over
    before = memory("RssAnon")
    with Peak() as peak:
        model = load_model(options.model, "cpu", options.dtype).model
    packed = sum(module.in_features * module.out_features for module in model.modules() if isinstance(module, Int8Linear))
    weights = packed + sum(tensor.nbytes for tensor in model.state_dict().values())
    row = {"weights_bytes": weights, "peak_bytes": peak.own - before, "ratio": round((peak.own - before) / weights, 2)}
    print(json.dumps({**row, "peak_mapped_bytes": peak.mapped}, indent=2))


if __name__ == "__main__":
    main()
