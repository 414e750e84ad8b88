"""The forms SAM's decomposed relative position can take, compared in time, memory and result, at ViT-H's size.

    python bench/rel_pos.py [--frames 1] [--repeat 3] [--device cpu] [--dtypes float32 bfloat16]

The position of a key relative to a query adds q·rel_h + q·rel_w to the product q·k. `eager` and `sdpa` (transformers) build that bias for
every pair of tokens, `blocked` (saymask) for a few rows of queries at a time. `folded` puts it into the product: [q, q·rel_h, q·rel_w]
times [k, one-hot row, one-hot column], so that attention needs no mask, but multiplies longer vectors. Each form of each layer runs in a
process of its own; prints JSON: seconds (median), peak memory above what weights and input take, largest difference from eager in float32.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionAttention, SamVisionSdpaAttention

from saymask.models.parts.sam_attention import BlockedAttention


class FoldedAttention(SamVisionAttention):
    """Relative position as further channels of queries and keys."""

    def forward(self, hidden_states: Tensor, output_attentions: bool | None = None) -> tuple[Tensor, None]:
        batch, height, width, channels = hidden_states.shape
        qkv = self.qkv(hidden_states).view(batch, height * width, 3, self.num_attention_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (batch, heads, tokens, head channels)
        grid = query.unflatten(2, (height, width))
        rel_h = torch.einsum("bnhwc,hkc->bnhwk", grid, self.get_rel_pos(height, height, self.rel_pos_h)).flatten(2, 3)
        rel_w = torch.einsum("bnhwc,wkc->bnhwk", grid, self.get_rel_pos(width, width, self.rel_pos_w)).flatten(2, 3)
        row = torch.eye(height, device=key.device, dtype=key.dtype).repeat_interleave(width, dim=0)
        column = torch.eye(width, device=key.device, dtype=key.dtype).repeat(height, 1)
        position = torch.cat([row, column], dim=-1).expand(*key.shape[:2], -1, -1)
        # All three as long as the longest, in whole groups of eight: the fused kernels ask for both.
        length = -(-(key.shape[-1] + height + width) // 8) * 8
        query = _lengthened(torch.cat([query * self.scale, rel_h, rel_w], dim=-1), length)
        key = _lengthened(torch.cat([key, position], dim=-1), length)
        mixed = functional.scaled_dot_product_attention(query, key, _lengthened(value, length), scale=1.0)
        mixed = mixed[..., : value.shape[-1]].transpose(1, 2).reshape(batch, height, width, channels)
        return self.proj(mixed), None


def _lengthened(tokens: Tensor, length: int) -> Tensor:
    """Zeros behind the last axis."""
    return functional.pad(tokens, (0, length - tokens.shape[-1]))


FORMS = {"eager": SamVisionAttention, "sdpa": SamVisionSdpaAttention, "blocked": BlockedAttention, "folded": FoldedAttention}
LAYERS = {"global": (64, 0, 1), "windowed": (14, 14, 25)}
"""Tokens along a side, the configuration's window size, and how many of these squares a frame has."""


def measure(layer: str, form: str, device: str, dtype: str, frames: int, repeat: int) -> dict[str, Any]:
    """One form of one layer, in this process."""
    side, window, per_frame = LAYERS[layer]
    config = SamVisionConfig(hidden_size=1280, num_attention_heads=16, image_size=1024, patch_size=16)
    torch.manual_seed(0)
    attention = FORMS[form](config, window).eval()
    for weight in attention.parameters():
        torch.nn.init.normal_(weight, std=0.02)
    tokens = torch.randn(frames * per_frame, side, side, config.hidden_size)
    with torch.inference_mode():
        attention.to(device, getattr(torch, dtype))
        inputs = tokens.to(device, getattr(torch, dtype))
        before = _memory(device)
        seconds = []
        for _ in range(1 + repeat):  # the first one warms up
            start = perf_counter()
            output, _ = attention(inputs)
            if device != "cpu":
                torch.accelerator.synchronize()
            seconds.append(perf_counter() - start)
        megabytes = (_memory(device) - before) / 2**20
        exact = SamVisionAttention(config, window).eval()
        exact.load_state_dict(attention.float().cpu().state_dict())
        expected, _ = exact(tokens[:1])
        difference = (output[:1].float().cpu() - expected).abs().max().item()
    return {
        "layer": layer,
        "dtype": dtype,
        "form": form,
        "seconds": statistics.median(seconds[1:]),
        "peak_mb": megabytes,
        "max_difference": difference,
        "largest_value": expected.abs().max().item(),
    }


def _memory(device: str) -> float:
    """Peak bytes so far: of the accelerator, or of this process."""
    return torch.cuda.max_memory_allocated() if device.startswith("cuda") else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    options = parser.parse_args()
    rows = []
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for layer in LAYERS:
            for dtype in options.dtypes:
                for form in FORMS:
                    rows.append(pool.submit(measure, layer, form, options.device, dtype, options.frames, options.repeat).result())
    name = torch.cuda.get_device_name() if options.device.startswith("cuda") else torch.backends.cpu.get_cpu_capability()
    environment = {"torch": torch.__version__, "device": options.device, "device_name": name, "threads": torch.get_num_threads()}
    print(json.dumps({"environment": environment, "frames": options.frames, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
