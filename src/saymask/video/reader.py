"""From what a user types to videos: a file, an image, a folder of frames, a folder of videos or a glob.

`find_sources` says which sources a path stands for; `open_source` opens one of them as a `Video`, whatever it is. What a file contains
decides, not how it is named. Frames are RGB uint8 frames_THWC at the source's own size and times, decoded when asked for.
A leading ~ is the home folder: a shell leaves it in a quoted glob.
"""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from saymask.errors import VideoError
from saymask.records import Video
from saymask.video.decoder import holds_video, open_file
from saymask.video.limits import ReadLimits
from saymask.video.stills import IMAGE_SUFFIXES, image_files, is_image, natural_key, open_frames, open_image

__all__ = ["ReadLimits", "find_sources", "open_source"]

_VIDEO_SUFFIXES = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".gif",
    ".3gp",
    ".ts",
    ".m2ts",
    ".mts",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".ogv",
    ".mxf",
)


def open_source(source: str | Path, limits: ReadLimits = ReadLimits()) -> Video:  # noqa: B008 (frozen)
    """Open a video file, an image or a folder of frames; only what is needed to know its frames is read.

    Raises:
        VideoError: "path: reason; remedy" for anything that cannot be read or is over a limit.
    """
    path = Path(os.path.expanduser(source))
    if not path.exists():
        raise _not_found(path)
    if path.is_dir():
        return open_frames(path, limits)
    if not path.is_file():
        raise VideoError(f"{path}: not a regular file; save the video to a file first")
    try:
        if path.stat().st_size == 0:
            raise VideoError(f"{path}: the file is empty (0 bytes); download or export it again")
        return open_image(path, limits) if is_image(path) else open_file(path, limits)
    except PermissionError:
        raise VideoError(f"{path}: no permission to read it; change its permissions or copy it") from None


def find_sources(pattern: str) -> list[Path]:
    """List the sources that `pattern` stands for, in natural order: each can be given to `open_source`.

    A folder with images is one source, a folder of frames; any other folder stands for each video and folder of frames in it, of files by
    their content, whatever they are called. A glob stands for every video, image and folder of frames that it matches.

    Raises:
        VideoError: nothing there, with the closest names; or a folder with both images and videos, which could mean either.
    """
    if re.match(r"[a-z][a-z0-9+.-]+://", pattern, re.IGNORECASE):
        raise VideoError(f"{pattern}: addresses are not fetched; download the video and give its path")
    pattern = os.path.expanduser(pattern)
    path = Path(pattern)
    if path.is_dir():
        return _sources_in(path)
    if path.exists():
        return [path]
    if not glob.has_magic(pattern):
        raise _not_found(path)
    matches = sorted((Path(match) for match in glob.glob(pattern, recursive=True)), key=lambda match: (match.parent, natural_key(match)))
    sources = [match for match in matches if _is_source(match)]
    if not sources:
        what = f"{len(matches)} matches, none of them a video, an image or a folder of frames" if matches else "nothing matches"
        raise VideoError(f"{pattern}: {what}; check the pattern")
    return sources


def _sources_in(folder: Path) -> list[Path]:
    inside = [path for path in sorted(folder.iterdir(), key=natural_key) if not path.name.startswith(".")]
    videos = [path for path in inside if path.is_file() and is_video_file(path)]
    if image_files(folder):
        if videos:
            either = f"'{folder}/*{videos[0].suffix}' for the videos, or move the images to a folder of their own"
            raise VideoError(f"{folder}: the folder has both images and videos; give {either}")
        return [folder]
    sources = [path for path in inside if path in videos or (path.is_dir() and image_files(path))]
    if not sources:
        raise VideoError(f"{folder}: the folder has neither videos nor images; give a video file, a folder of videos or a folder of frames")
    return sources


def _is_source(path: Path) -> bool:
    return bool(image_files(path)) if path.is_dir() else path.suffix.lower() in IMAGE_SUFFIXES or is_video_file(path)


def is_video_file(path: Path) -> bool:
    """Whether a file is meant as a video: by its suffix, or, under a name that says nothing, by what FFmpeg finds in it."""
    if not path.is_file() or path.suffix.lower() in IMAGE_SUFFIXES:
        return False
    return path.suffix.lower() in _VIDEO_SUFFIXES or holds_video(path)


def left_out(pattern: str, sources: Sequence[Path]) -> list[Path]:
    """Entries of a folder, or matches of a glob, that `find_sources` did not take; hidden ones are left out without a word."""
    pattern = os.path.expanduser(pattern)
    path = Path(pattern)
    if path in sources or not (path.is_dir() or glob.has_magic(pattern)):
        return []
    entries = path.iterdir() if path.is_dir() else map(Path, glob.glob(pattern, recursive=True))
    return sorted((entry for entry in entries if entry not in sources and not entry.name.startswith(".")), key=natural_key)


def _not_found(path: Path) -> VideoError:
    folder = path.parent
    if not folder.is_dir():
        return VideoError(f"{path}: no such file, and no folder {folder}; check the path")
    close = difflib.get_close_matches(path.name, [entry.name for entry in folder.iterdir()], n=2)
    hint = f"did you mean {' or '.join(repr(name) for name in close)}?" if close else f"nothing in {folder} has a similar name"
    return VideoError(f"{path}: no such file or folder; {hint}")
