"""`saymask serve`: sessions over HTTP, and the page that uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from saymask.cli.output import say
from saymask.cli.segment import DtypeOption, ModelOption, TrackerOption
from saymask.errors import ConfigError
from saymask.models import choice
from saymask.runtime import Runtime


def serve(
    model: ModelOption = choice.AUTO,
    tracker: TrackerOption = None,
    prompter: Annotated[str | None, typer.Option(help="A prompter of `saymask list`: clicks and boxes become masks.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; one that others can reach needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="SAYMASK_TOKEN", help="What clients must show; the variable keeps it out of the list of processes.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder for uploads and the database.", file_okay=False)] = Path("saymask-server"),
    root: Annotated[Path | None, typer.Option(help="Folder whose videos clients may open by path.")] = None,
    max_upload_mb: Annotated[int, typer.Option(min=1, help="Of one upload.")] = 512,
    max_idle_hours: Annotated[int, typer.Option(min=1, help="Sessions that nobody used for so long expire.")] = 168,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, mps …; several, as cuda:0,cuda:1, share the sessions; the best one present if not given.")
    ] = None,
    dtype: DtypeOption = None,
) -> None:
    """Answer in the browser and over HTTP (docs/server.md)."""
    try:
        from saymask.web.app import create_app
        from saymask.web.connections import listen, server_of
    except ImportError as error:
        raise ConfigError(f"the server needs {error.name}; pip install 'saymask[web]'") from None
    from saymask.storage.lock import lock_folder
    from saymask.web.engine import Engine
    from saymask.web.settings import Settings

    settings = Settings(data, host, token, root, max_upload_bytes=max_upload_mb * 2**20, idle_seconds=max_idle_hours * 3600.0)
    devices = device.split(",") if device else [None]
    engines = [Engine(model, tracker, prompter, Runtime.choose(name, dtype)) for name in devices]
    with lock_folder(data, "serving"), listen(host, port) as listening:
        server = server_of(create_app(settings, *engines))
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{listening.getsockname()[1]}/" + ("#token=…" if token else ""))
        server.run([listening])
