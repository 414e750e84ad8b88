"""`saymask convert SRC DST`: released weights in saymask's own layout, one file in one dtype, ready for `-m DST`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import progress_bar, say, shown
from saymask.cli.segment import DtypeOption, VisionTowerOption
from saymask.runtime import Runtime
from saymask.video.atomic import new_folder


def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A folder in the released layout, or a repository of the hub.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The folder to write; it must not exist.")],
    vision_tower: VisionTowerOption = None,
    dtype: DtypeOption = None,
) -> None:
    """Rewrite released weights in saymask's own layout."""
    with new_folder(target.absolute()) as draft, progress_bar(f"converting {source}"):
        from saymask.models.checkpoints import save_model
        from saymask.models.release_download import load_hub
        from saymask.models.release_loading import load_release

        runtime = Runtime.choose("cpu", dtype)
        if Path(source).is_dir():
            segmenter = load_release(Path(source), runtime, source, vision_tower)
        else:
            segmenter = load_hub(source, runtime, source, vision_tower)
        save_model(segmenter.model, segmenter.processor, draft, segmenter.model.dtype)
        state = segmenter.model.state_dict()
    say(f"tensors     {len(state)}")
    say(f"parameters  {sum(tensor.numel() for tensor in state.values()):,}")
    say(f"dtype       {str(segmenter.model.dtype).removeprefix('torch.')}")
    say(f"size        {sum(file.stat().st_size for file in target.iterdir()) / 1e6:,.1f} MB")
    say(f"wrote {shown(target.absolute())}")
