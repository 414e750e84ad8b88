"""What a training step costs a processor: making a micro-batch, and forwards and backwards in float32 and under bf16 autocast.

    python bench/training.py [RECIPE] [--batches 3] [a.b=value ...]

One thread; seconds are those of the processor, so that other programs disturb them little. Prints one JSON object: seconds per sample of
each, and samples/s where both take turns on one core and where a worker makes batches ahead on another, which the slower of both bounds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch

from saymask.lookup import resolve
from saymask.storage.computing_dtype import is_quick
from saymask.training.feeding import MicroBatch, micro_batch


def processor_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", default="videolisa_toy")
    parser.add_argument("changes", nargs="*", metavar="a.b=value")
    parser.add_argument("--batches", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = resolve(options.recipe, "recipe")().override(options.changes)
    task = config.task()
    module = task.module.train()
    made: list[MicroBatch] = []
    micro_batch(task.batches, 0)
    making = [processor_seconds(lambda i=i: made.append(micro_batch(task.batches, i))) for i in range(1, options.batches + 1)]

    def step(one: MicroBatch, autocast: bool) -> None:
        one.seed(config.seed)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = module(**one.inputs)["loss"]
        loss.backward()
        module.zero_grad(set_to_none=True)

    step(made[0], autocast=False)  # warm up
    computing = {
        name: [processor_seconds(lambda one=one, autocast=autocast: step(one, autocast)) for one in made]
        for name, autocast in (("float32", False), ("bf16", True))
    }
    size = config.batch_size
    make, compute = min(making) / size, {name: min(seconds) / size for name, seconds in computing.items()}
    result = {
        "recipe": options.recipe,
        "samples_a_batch": size,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "bf16_is_quick": is_quick(torch.bfloat16),
        "ms_per_sample": {"making": 1e3 * make, **{name: 1e3 * seconds for name, seconds in compute.items()}},
        "samples_per_second": {
            name: {"taking_turns": 1 / (make + seconds), "made_ahead": 1 / max(make, seconds)} for name, seconds in compute.items()
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
