"""A large file of the hub, downloaded so that an interruption loses nothing: the hub's client deletes what it has when it is stopped."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download, hf_hub_url
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import WeakFileLock, build_hf_headers


def download(repo_id: str, name: str, sha256: str, size: int) -> None:
    """Put a file into the client's cache; goes on with what an earlier call has left, and shows a bar.

    Args:
        repo_id: owner/name.
        name: of the file.
        sha256, size: of its content, as the hub says; the cache keeps it under its digest.

    Raises:
        OSError, HTTPError: the hub cannot be reached, or the connection broke off.
    """
    blob = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=repo_id, repo_type="model") / "blobs" / sha256
    part = blob.with_name(f"{sha256}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(blob.with_name(f"{sha256}.lock")):
        if not blob.exists():
            part.touch()
            with part.open("r+b") as file:
                begun = file.seek(0, 2)
                headers = build_hf_headers()
                http_get(hf_hub_url(repo_id, name), file, resume_size=begun, headers=headers, expected_size=size, displayed_filename=name)
            part.replace(blob)
    blob.with_name(f"{sha256}.lock").unlink(missing_ok=True)
    hf_hub_download(repo_id, name)  # names the content that it finds
