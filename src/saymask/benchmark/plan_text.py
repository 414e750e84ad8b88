"""A plan as JSON and as a table."""

from __future__ import annotations

from typing import Any

from saymask.benchmark.expectation import STAGES, Plan

_GIB = 2**30


def as_json(plan: Plan) -> dict[str, Any]:
    """Plain JSON: seconds, floating-point operations and bytes by name, with their sums, and what they rest on."""
    return {
        **plan.facts,
        "seconds": {**plan.seconds, "total": plan.total_seconds},
        "flops": dict(plan.flops),
        "bytes": {**plan.nbytes, "total": plan.total_bytes},
    }


def as_text(plan: Plan) -> str:
    """A line per stage that takes time, its share of the whole, and the memory."""
    facts = plan.facts
    video = facts["video"]
    lines = [
        f"{facts['model']}, {facts['parameters'] / 1e6:,.1f} M parameters in {facts['dtype']} on {facts['device']}: {facts['queries']} "
        f"quer{'y' if facts['queries'] == 1 else 'ies'} ({facts['answer']}) about {video['frames']} frames of "
        f"{video['width']} x {video['height']}",
        f"measured here with {facts['threads']} thread{'s' if facts['threads'] > 1 else ''}: products of matrices "
        f"{facts['product_gflops']:.0f} GFLOP/s, memory {facts['memory_gb_per_second']:.1f} GB/s",
        "",
    ]
    detail = {
        "vision_tower": f"{facts['tower_frames']} frames",
        "language_model": f"{facts['tokens']} tokens",
        "image_encoder": f"{facts['encoded_frames']} frames",
        "tracker": facts["tracker"] or "",
    }
    for stage in (stage for stage in STAGES if plan.seconds[stage]):
        share = plan.seconds[stage] / plan.total_seconds
        tflop = f"{plan.flops[stage] / 1e12:,.2f} TFLOP" if stage in plan.flops else ""
        lines.append(f"{_row(stage, plan.seconds[stage])}{share:>6.0%}  {tflop:>16}  {detail.get(stage, '')}")
    lines += [f"{_row('in all', plan.total_seconds)}   (one after the other; reading and writing need a core of their own)", ""]
    lines += [f"{name:<16}{nbytes / _GIB:>9.2f} GiB" for name, nbytes in {**plan.nbytes, "peak memory": plan.total_bytes}.items()]
    return "\n".join(line.rstrip() for line in lines)


def _row(stage: str, seconds: float) -> str:
    return f"{stage.replace('_', ' '):<16}{duration(seconds):>10}"


def duration(seconds: float) -> str:
    """In the unit that fits: "0.25 s", "3.5 min", "2.1 h"."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
