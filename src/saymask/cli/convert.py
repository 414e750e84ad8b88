"""`saymask convert SRC DST`: any model in saymask's own layout, one file in one dtype, ready for `-m DST`.

SRC may be released weights, a model with an adapter (which is merged), or, with `--mask-model`, what a training begins with. `--family`
makes of it the untrained model of another family, with the weights of all parts that both have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import progress_bar, say, shown
from saymask.cli.segment import DtypeOption, VisionTowerOption
from saymask.errors import ConfigError
from saymask.lookup import family_named
from saymask.runtime import AS_STORED, Runtime, dtype_name
from saymask.storage.atomic import new_folder


def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Released weights, or a model and its adapter: toy+ADAPTER.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The folder to write; it must not exist.")],
    vision_tower: VisionTowerOption = None,
    mask_model: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Segment Anything: put a model together to be trained; SRC is LLaVA-Phi-3.",
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(metavar="NAME", help="Begin a model of another family with its weights.")] = None,
    dtype: DtypeOption = None,
) -> None:
    """Rewrite weights in saymask's own layout: released ones, a model with its adapter merged, or the parts a training begins with."""
    with new_folder(target.absolute()) as draft, progress_bar(f"converting {source}"):
        from saymask.models.beginnings import begin_as
        from saymask.models.checkpoints import assemble, load_model, require_network, save_model

        runtime = Runtime.choose("cpu", dtype or AS_STORED)
        if mask_model is not None:
            if vision_tower is None:
                raise ConfigError("--mask-model goes with --vision-tower: SRC is then a LLaVA folder, which has neither")
            segmenter = assemble(Path(source), vision_tower, mask_model, runtime)
        else:
            segmenter = require_network(load_model(source, runtime, vision_tower), "our layout is for")
        if family is not None:
            segmenter = begin_as(segmenter, family_named(family))
        save_model(segmenter.model, segmenter.processor, draft, segmenter.model.dtype)
        state = segmenter.model.state_dict()
    say(f"tensors     {len(state)}")
    say(f"parameters  {sum(tensor.numel() for tensor in state.values()):,}")
    say(f"dtype       {dtype_name(segmenter.model.dtype)}")
    say(f"size        {sum(file.stat().st_size for file in target.iterdir()) / 1e6:,.1f} MB")
    say(f"wrote {shown(target.absolute())}")
