"""`saymask fetch NAME`: download a model's weights once, check them, and say how to use them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saymask.cli.output import note, say, shown
from saymask.errors import CheckpointError, ConfigError, UnknownName
from saymask.lookup import suggest
from saymask.models.choice import choices

if TYPE_CHECKING:
    from saymask.storage.hub import HubRepo


def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model of `saymask list` that is read from the hub.")],
) -> None:
    """Download a model's weights; goes on where it was interrupted, and compares what is there with the hub's digests."""
    known = choices()
    if name not in known:
        raise UnknownName(f"unknown model {name!r}; {suggest(name, known)}")
    choice = known[name]
    if not choice.repos:
        raise ConfigError(f"{name}: nothing to fetch; {choice.how or 'it is in the package'}")
    from saymask.storage.hub import HubRepo, fetch

    note(f"{name}: {choice.nbytes / 1e9:.1f} GB, licence: {choice.licence}")
    if choice.gate:
        note(choice.gate)
    repos = [HubRepo(repo_id, size) for repo_id, size in choice.repos.items()]
    try:
        folders = fetch(repos, "with a network: run the same command again; it goes on from there")
    except KeyboardInterrupt as error:
        note(f"stopped; `saymask fetch {name}` goes on from there")
        raise typer.Exit(130) from error
    for repo, folder in zip(repos, folders, strict=True):
        say(f"{repo.repo_id}: {shown(folder)} ({_compared(repo, folder)})")
    say(f'next: saymask segment VIDEO "the dog" -m {name}')


def _compared(repo: HubRepo, folder: Path) -> str:
    """How much is known of a copy.

    Raises:
        CheckpointError: it is damaged.
    """
    from saymask.storage.hub import check, digests

    try:
        expected = digests(repo)
    except CheckpointError:
        return "on this disk; the hub cannot be asked whether it is undamaged"
    return f"{check(folder, expected)} files compared with the hub's digests"
