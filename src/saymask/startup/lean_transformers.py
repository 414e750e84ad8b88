"""Imports the model classes of transformers without what they bring along for features nobody here uses: import it before any of them.

`transformers.modeling_utils` loads the compiler of torch (and sympy), scipy, accelerate, sharding over processes and losses of detectors:
1,300 modules, most of a program's start. Each is loaded when it is needed (`deferred_imports`). What imports transformers first, without
this module, gets all of them, and the same results.
"""

from __future__ import annotations

import importlib
import sys

from saymask.startup.collector import collector_paused
from saymask.startup.deferred_imports import call_when_loaded, deferred_imports
from saymask.startup.postponed_scan import postpone_scan

DEFERRED = (
    "accelerate",
    "google.protobuf",
    "jinja2",
    "scipy",
    "torch._dynamo",
    "torch.distributed._composable",
    "torch.distributed.checkpoint",
    "torch.distributed.fsdp",
    "torch.distributed.tensor",
    "torch.nn.attention.flex_attention",
    "transformers.distributed.checkpoint",
    "transformers.distributed.expert_parallel",
    "transformers.distributed.fsdp",
    "transformers.distributed.pipeline_parallel",
    "transformers.distributed.tensor_parallel",
    "transformers.generation.continuous_batching.cache",
    "transformers.integrations.deepgemm",
    "transformers.integrations.eager_paged",
    "transformers.integrations.flash_attention",
    "transformers.integrations.flex_attention",
    "transformers.integrations.sonicmoe",
    "transformers.quantizers",
)

if "transformers" not in sys.modules:
    call_when_loaded({"transformers.utils.import_utils": [postpone_scan]})
with collector_paused(), deferred_imports(DEFERRED, marks=["torch._dynamo.allow_in_graph"]):
    for name in ("modeling_utils", "modeling_layers", "masking_utils", "generation.utils"):
        importlib.import_module(f"transformers.{name}")
