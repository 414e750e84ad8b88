"""`saymask fetch NAME`: download a model's weights once, check them, and say how to use them."""

from __future__ import annotations

from typing import Annotated

import typer

from saymask.cli.output import note, say, shown
from saymask.errors import ConfigError, UnknownName
from saymask.lookup import suggest
from saymask.models.choice import choices


def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model of `saymask list` that is read from the hub.")],
) -> None:
    """Download a model's weights; goes on where it was interrupted."""
    known = choices()
    if name not in known:
        raise UnknownName(f"unknown model {name!r}; {suggest(name, known)}")
    choice = known[name]
    if not choice.repos:
        raise ConfigError(f"{name}: nothing to fetch; {choice.how or 'it is in the package'}")
    from saymask.storage.hub import HubRepo, check, fetch

    note(f"{name}: {choice.nbytes / 1e9:.1f} GB, licence: {choice.licence}")
    if choice.gate:
        note(choice.gate)
    repos = [HubRepo(repo_id, size) for repo_id, size in choice.repos.items()]
    absent = [repo for repo in repos if repo.cached() is None]
    folders = fetch(repos, "with a network: run the same command again; it goes on from there")
    for repo, folder in zip(repos, folders, strict=True):
        compared = f"{check(repo, folder)} files compared with the hub's digests" if repo in absent else "was on this disk"
        say(f"{repo.repo_id}: {shown(folder)} ({compared})")
    say(f'next: saymask segment VIDEO "the dog" -m {name}')
