"""Released VideoLISA weights from the Hugging Face hub: the model's repository and that of its vision tower."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saymask.models.base import TOWER_OPTION
from saymask.models.lisa.release import read_layout_config
from saymask.models.parts.composite_config import CompositeConfig
from saymask.models.videolisa.release_loading import LAYOUT, load_release
from saymask.models.videolisa.released import MODEL_TYPE
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.runtime import Runtime
from saymask.storage.hub import HubRepo, fetch

VIDEOLISA_REPO = "ZechenBai/VideoLISA-3.8B"
TOWER_REPO = "openai/clip-vit-large-patch14-336"
TYPICAL_BYTES = {VIDEOLISA_REPO: 10_300_000_000, TOWER_REPO: 1_700_000_000}
"""What to expect when the hub cannot be asked."""


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
    repos = [HubRepo(repo_id, TYPICAL_BYTES.get(repo_id), ("config.json", "tokenizer.model", "tokenizer_config.json"))]
    if vision_tower is None:
        repos.append(HubRepo(TOWER_REPO, TYPICAL_BYTES[TOWER_REPO]))
    folders = fetch(repos, f"with copies of both folders on disk: give the first as the model, the second as {TOWER_OPTION}")
    return load_release(folders[0], runtime, name, vision_tower or folders[1])


class VideoLisaRelease:
    """The layout of `ZechenBai/VideoLISA-3.8B`, behind `base.Release`."""

    def recognises(self, values: Mapping[str, Any]) -> bool:
        return values.get("model_type") == MODEL_TYPE

    def load(self, folder: Path, runtime: Runtime, name: str, vision_tower: Path | None) -> VideoLisaSegmenter:
        return load_release(folder, runtime, name, vision_tower)

    def read_config(self, folder: Path, vision_tower: Path | None) -> CompositeConfig:
        return read_layout_config(LAYOUT, folder, vision_tower)

    def load_hub(self, repo_id: str, runtime: Runtime, name: str, vision_tower: Path | None) -> VideoLisaSegmenter:
        return load_hub(repo_id, runtime, name, vision_tower)
