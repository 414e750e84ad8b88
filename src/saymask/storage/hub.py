"""Repositories of the Hugging Face hub: what is needed is named with its size, fetched once, and found again without a network."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE
from huggingface_hub.errors import HFValidationError, HTTPError

from saymask.errors import CheckpointError
from saymask.storage.resumed_download import download
from saymask.storage.weight_files import weight_files

log = logging.getLogger(__name__)

HUB = ENDPOINT
"""https://huggingface.co, or what the environment variable HF_ENDPOINT says."""
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
"""What a repository of the hub is called: owner/name."""


_SETTINGS = (".json", ".model", ".txt", ".jinja")
"""Endings of the files of settings, tokenizers and chat templates."""


@dataclass(frozen=True)
class Digest:
    """What the hub says of a file's content: its size and, by how it is stored, SHA-256 or git's blob id."""

    size: int
    sha256: str | None
    blob_id: str | None

    def flaw(self, path: Path) -> str | None:
        """In which way a file differs, if it does."""
        if path.stat().st_size != self.size:
            return f"{path.stat().st_size} bytes, the hub has {self.size}"
        with path.open("rb") as file:
            if self.sha256:
                found, expected = hashlib.file_digest(file, "sha256").hexdigest(), self.sha256
            else:
                content = file.read()
                found, expected = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest(), self.blob_id
        return None if expected in (found, None) else f"its digest is {found}, on the hub {expected}"


@dataclass(frozen=True)
class HubRepo:
    """A repository of the hub.

    Args:
        repo_id: owner/name.
        typical_bytes: what to expect when the hub cannot be asked; None = not known.
        needed: files without which a copy is of no use, beside the weights.
    """

    repo_id: str
    typical_bytes: int | None = None
    needed: tuple[str, ...] = ("config.json",)

    def cached(self) -> Path | None:
        """Folder of a complete copy on this disk; what is never fetched need not be there."""
        settings = [f"*{ending}" for ending in _SETTINGS]
        try:
            folder = Path(snapshot_download(self.repo_id, local_files_only=True, allow_patterns=settings, ignore_patterns=["*/*"]))
            weight_files(folder)
        except (OSError, CheckpointError):
            return None
        return folder if all((folder / name).is_file() for name in self.needed) else None

    def listing(self) -> dict[str, Digest]:
        """What the hub says of every file; its client's errors pass."""
        siblings = HfApi().model_info(self.repo_id, files_metadata=True).siblings or []
        return {each.rfilename: Digest(each.size or 0, each.lfs.sha256 if each.lfs else None, each.blob_id) for each in siblings}

    def files(self) -> dict[str, Digest]:
        """The files to fetch: settings, tokenizer, and the weights in one format."""
        listed = {name: digest for name, digest in self.listing().items() if "/" not in name}
        weights = [name for name in listed if name.endswith(".safetensors")] or [name for name in listed if name.endswith(".bin")]
        return {name: listed[name] for name in listed if name in weights or name.endswith(_SETTINGS)}


def fetch(repos: Sequence[HubRepo], way_without: str) -> list[Path]:
    """Folders of all repositories; those that are not on this disk are downloaded.

    Args:
        repos: what is needed, all of it.
        way_without: how to go on without a network; the last line of the error.

    Raises:
        CheckpointError: the hub cannot be reached or refuses; says what would have been fetched, how large, from where.
    """
    folders = {repo: repo.cached() for repo in repos}
    absent = [repo for repo, folder in folders.items() if folder is None]
    if absent:
        try:
            wanted = {repo: repo.files() for repo in absent}
            log.warning(_notice({repo.repo_id: sum(file.size for file in files.values()) for repo, files in wanted.items()}))
            for repo, files in wanted.items():
                folders[repo] = _download(repo.repo_id, files)
        except (OSError, HTTPError, HFValidationError) as error:
            raise CheckpointError("\n".join([*_unreachable(absent, error), way_without])) from None
    return [folder for folder in folders.values() if folder is not None]


def _download(repo_id: str, files: Mapping[str, Digest]) -> Path:
    """Settings first, so that a copy with weights has everything; then weights, one file after the other."""
    settings = [name for name in files if name.endswith(_SETTINGS)]
    folder = Path(snapshot_download(repo_id, allow_patterns=settings))
    for name, digest in files.items():
        if name not in settings and digest.sha256:
            download(repo_id, name, digest.sha256, digest.size)
        elif name not in settings:
            hf_hub_download(repo_id, name)
    return folder


def digests(repo: HubRepo) -> dict[str, Digest]:
    """What the hub says of each file of a repository.

    Raises:
        CheckpointError: it cannot be asked.
    """
    try:
        return repo.listing()
    except (OSError, HTTPError, HFValidationError) as error:
        raise CheckpointError("\n".join(_unreachable([repo], error))) from None


def check(folder: Path, expected: Mapping[str, Digest]) -> int:
    """Compare the files of a copy with the hub's digests; returns how many were compared.

    Raises:
        CheckpointError: files differ; they are removed, so that the next fetch gets them anew.
    """
    present = {name: digest for name, digest in expected.items() if (folder / name).is_file()}
    flaws = {name: flaw for name, digest in present.items() if (flaw := digest.flaw(folder / name))}
    for name in flaws:
        (folder / name).resolve().unlink()  # the content, which the cache may hold apart from the name
        (folder / name).unlink(missing_ok=True)
    if flaws:
        listed = "; ".join(f"{name}: {flaw}" for name, flaw in flaws.items())
        raise CheckpointError(f"{folder}: damaged and removed: {listed}; fetch it again")
    return len(present)


def find_folder(name: str, what: str, typical_bytes: int | None = None) -> Path:
    """A folder as it is, a repository `owner/name` from the hub or its cache.

    Args:
        name: as the user gave it.
        what: what it is a folder of, for messages: "a detector".
        typical_bytes: what to expect when the hub cannot be asked.

    Raises:
        CheckpointError: neither a folder nor the name of a repository, or the hub cannot be reached.
    """
    if Path(name).is_dir():
        return Path(name)
    if Path(name).exists() or not HUB_ID.fullmatch(name):
        raise CheckpointError(f"{name}: no such folder; give a folder of {what}, or a repository owner/name of {HUB}")
    return fetch([HubRepo(name, typical_bytes)], f"with a copy of it on disk: give its folder as {what}")[0]


def fetch_config(repo_id: str) -> Path:
    """A repository's `config.json`, which says what kind of model it holds, downloaded if it is not on this disk.

    Raises:
        CheckpointError: the hub cannot be reached or refuses, or there is no such file.
    """
    try:
        return Path(hf_hub_download(repo_id, "config.json"))
    except (OSError, HTTPError, HFValidationError) as error:
        lines = _unreachable([HubRepo(repo_id)], error)
        raise CheckpointError("\n".join([*lines, "with a copy of it on disk: give its folder as the model"])) from None


def _notice(sizes: Mapping[str, int]) -> str:
    """What a user should know before gigabytes move."""
    listed = " and ".join(f"{repo_id} ({size / 1e9:.1f} GB)" for repo_id, size in sizes.items())
    return f"downloading {listed} from {HUB} to {HF_HUB_CACHE}; if interrupted, the next start goes on from there"


def _unreachable(repos: Sequence[HubRepo], error: Exception) -> list[str]:
    """Lines with everything needed to fetch the repositories by other means."""
    lines = [f"cannot download from {HUB} ({str(error).strip().partition(chr(10))[0]}); needed and not on this disk:"]
    for repo in repos:
        size = "size unknown" if repo.typical_bytes is None else f"{repo.typical_bytes / 1e9:.1f} GB"
        lines.append(f"  {repo.repo_id} ({size}) from {HUB}/{repo.repo_id}")
    return lines
