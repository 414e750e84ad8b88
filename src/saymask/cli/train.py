"""`saymask train RECIPE [a.b=value …]`: run a training recipe, changed by checked overrides.

`torchrun --nproc-per-node 2 -m saymask train …` runs it in several processes; the first one alone chooses the folder and talks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import free_folder, note, progress_bar, say, shown
from saymask.cli.segment import DeviceOption
from saymask.lookup import resolve
from saymask.runtime import Runtime


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe of `saymask list`.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="A.B=VALUE", help="Changes to it: optim.lr=1e-4.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The run's folder; runs/<recipe> if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in this folder from its last checkpoint.")] = False,
    device: DeviceOption = None,
) -> None:
    """Train a model; --resume continues a run that was stopped.

    Your own data (docs/own-data.md): saymask data check folder DIR, then saymask train finetune data.root=DIR.
    """
    config = resolve(recipe, "recipe")().override(overrides or [])
    runtime = Runtime.choose(device)
    from saymask.training.loop import require_resumable
    from saymask.training.loop import train as run

    folder = out or Path("runs") / recipe
    if os.environ.get("RANK", "0") != "0":
        run(config, folder, resume, runtime)
        return
    if resume:
        require_resumable(folder)
    else:
        folder = free_folder(folder)
    note(f"training {recipe} in {shown(folder)}; losses go to {shown(folder / 'log.jsonl')}")
    try:
        with progress_bar(recipe) as update:
            model = run(config, folder, resume, runtime, update)
    except KeyboardInterrupt:
        note(f"go on with the same command and -o {shown(folder)} --resume")
        raise
    say(f"wrote {shown(model)}")
