"""Released weights from the Hugging Face hub: what is needed is named with its size, fetched once, and found again without a network."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import HFValidationError, HTTPError

from saymask.errors import CheckpointError
from saymask.models.release_loading import TOWER_OPTION, load_release
from saymask.models.videolisa_segmenter import VideoLisaSegmenter
from saymask.nn.weight_files import weight_files
from saymask.runtime import Runtime

log = logging.getLogger(__name__)

HUB = "https://huggingface.co"
VIDEOLISA_REPO = "ZechenBai/VideoLISA-3.8B"
TOWER_REPO = "openai/clip-vit-large-patch14-336"
TYPICAL_BYTES = {VIDEOLISA_REPO: 10_300_000_000, TOWER_REPO: 1_700_000_000}
"""What to expect when the hub cannot be asked."""


@dataclass(frozen=True)
class _Repo:
    """A repository of the hub and the files without which a copy is of no use."""

    repo_id: str
    needed: tuple[str, ...] = ("config.json",)

    def cached(self) -> Path | None:
        """Folder of a complete copy on this disk."""
        try:
            folder = Path(snapshot_download(self.repo_id, local_files_only=True))
            weight_files(folder)
        except (OSError, CheckpointError):
            return None
        return folder if all((folder / name).is_file() for name in self.needed) else None

    def files(self) -> dict[str, int]:
        """Names and sizes of the files to fetch: settings, tokenizer, and the weights in one format."""
        siblings = HfApi().model_info(self.repo_id, files_metadata=True).siblings or []
        sizes = {sibling.rfilename: sibling.size or 0 for sibling in siblings if "/" not in sibling.rfilename}
        weights = [name for name in sizes if name.endswith(".safetensors")] or [name for name in sizes if name.endswith(".bin")]
        return {name: sizes[name] for name in sizes if name in weights or name.endswith((".json", ".model"))}


def load_videolisa_3_8b(runtime: Runtime) -> VideoLisaSegmenter:
    """VideoLISA-3.8B as its authors released it, for natural video (downloads 12 GB once)."""
    return load_hub(VIDEOLISA_REPO, runtime, name="videolisa-3.8b")


def load_hub(repo_id: str, runtime: Runtime, name: str, vision_tower: Path | None = None) -> VideoLisaSegmenter:
    """Load a released model from the hub, or from the hub's cache on this disk.

    Args:
        repo_id: repository in the released layout, `owner/name`.
        runtime: device and dtype.
        name: what the model is called in reports.
        vision_tower: a folder to use instead of CLIP's own repository.

    Raises:
        CheckpointError: the hub cannot be reached or refuses; says what would have been fetched, how large, from where.
    """
    repos = [_Repo(repo_id, ("config.json", "tokenizer.model", "tokenizer_config.json"))]
    if vision_tower is None:
        repos.append(_Repo(TOWER_REPO))
    folders = _fetch(repos)
    return load_release(folders[0], runtime, name, vision_tower or folders[1])


def _fetch(repos: Sequence[_Repo]) -> list[Path]:
    """Folders of all repositories; those that are not on this disk are downloaded."""
    folders = {repo: repo.cached() for repo in repos}
    absent = [repo for repo, folder in folders.items() if folder is None]
    if absent:
        try:
            wanted = {repo: repo.files() for repo in absent}
            log.warning(_notice({repo.repo_id: sum(files.values()) for repo, files in wanted.items()}))
            for repo, files in wanted.items():
                folders[repo] = Path(snapshot_download(repo.repo_id, allow_patterns=list(files)))
        except (OSError, HTTPError, HFValidationError) as error:
            raise CheckpointError(_unreachable(absent, error)) from None
    return [folder for folder in folders.values() if folder is not None]


def _notice(sizes: Mapping[str, int]) -> str:
    """What a user should know before gigabytes move."""
    listed = " and ".join(f"{repo_id} ({size / 1e9:.1f} GB)" for repo_id, size in sizes.items())
    return f"downloading {listed} from {HUB} to {HF_HUB_CACHE}; if interrupted, the next start goes on from there"


def _unreachable(repos: Sequence[_Repo], error: Exception) -> str:
    """One message with everything needed to go on without a network."""
    lines = [f"cannot download from {HUB} ({str(error).strip().partition(chr(10))[0]}); needed and not on this disk:"]
    for repo in repos:
        size = f"{TYPICAL_BYTES[repo.repo_id] / 1e9:.1f} GB" if repo.repo_id in TYPICAL_BYTES else "size unknown"
        lines.append(f"  {repo.repo_id} ({size}) from {HUB}/{repo.repo_id}")
    lines.append(f"with copies of both folders on disk: give the first as the model, the second as {TOWER_OPTION}")
    return "\n".join(lines)
