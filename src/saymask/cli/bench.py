"""`saymask bench [SOURCE]`: seconds per stage, frames per second and peak memory, beside the published script's structure."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import note, say, shown
from saymask.cli.segment import DeviceOption, DtypeOption, ModelOption, VisionTowerOption
from saymask.errors import ConfigError
from saymask.runtime import Runtime
from saymask.storage.atomic import new_file

NUM_FRAMES = 100
TOY_SIZE, SIZE = "128x128", "480x854"


def bench(
    source: Annotated[Path | None, typer.Argument(metavar="[SOURCE]", help="A video, or a folder of frames; drawn if not given.")] = None,
    model: ModelOption = "toy",
    frames: Annotated[int | None, typer.Option(min=1, help=f"Length of the drawn video; {NUM_FRAMES} if not given.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help=f"Size of the drawn video; {TOY_SIZE} for the toy model, else {SIZE}, if not given.")
    ] = None,
    queries: Annotated[str, typer.Option(help="Numbers of queries to measure with, comma-separated.")] = "1,16",
    stages_only: Annotated[bool, typer.Option("--stages-only", help="Without the published script's structure.")] = False,
    repeat: Annotated[int, typer.Option(min=1, help="Repeat each measurement N times and take the median.")] = 1,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="An earlier run's JSON, to compare the session with."),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write the JSON here instead of printing it.")] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    vision_tower: VisionTowerOption = None,
) -> None:
    """Measure speed and memory; prints JSON, and a table on standard error."""
    counts = _parse_queries(queries)
    if source and (frames or size):
        raise ConfigError(f"--frames and --size are for the video that is drawn without a SOURCE; leave them out for {source}")
    height, width = _parse_size(size or (TOY_SIZE if model == "toy" else SIZE))
    runtime = Runtime.choose(device, dtype)
    from saymask.benchmark.baseline import as_text, beside, read_baseline
    from saymask.benchmark.speed import VARIANTS, Run, compare, format_table

    earlier = read_baseline(baseline) if baseline else None

    with new_file(out) if out else nullcontext() as draft, _source(source, frames or NUM_FRAMES, height, width) as path:
        variants = ["ours"] if stages_only else list(VARIANTS)
        results = compare(Run(path, model, runtime, vision_tower, repeat=repeat), counts, variants, note)
        note(format_table(results))
        results["source"] = str(source) if source else "moving noise"
        if baseline and earlier:
            results = beside(results, earlier, baseline)
            note(as_text(results))
        text = json.dumps(results, indent=1)
        if draft:
            draft.write_text(text + "\n", encoding="utf-8")
    say(f"wrote {shown(out.absolute())}" if out else text)


@contextmanager
def _source(given: Path | None, num_frames: int, height: int, width: int) -> Iterator[Path]:
    """The video to measure on, drawn for the length of the block if none is given."""
    if given:
        yield given
        return
    from saymask.benchmark.noise_video import write_noise_video

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.mp4"
        write_noise_video(path, num_frames, height, width)
        yield path


def _parse_size(size: str) -> tuple[int, int]:
    """Height and width of `--size`."""
    parts = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", size)
    if not parts:
        raise ConfigError(f"--size {size} is not HEIGHTxWIDTH in pixels; write e.g. {SIZE}")
    return int(parts[1]), int(parts[2])


def _parse_queries(queries: str) -> list[int]:
    """Numbers of `--queries`, each once."""
    if not re.fullmatch(r"\d+(,\d+)*", queries):
        raise ConfigError(f"--queries {queries} is not a list of numbers; write e.g. 1,16")
    return list(dict.fromkeys(map(int, queries.split(","))))
