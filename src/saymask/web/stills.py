"""Single frames as images, for videos that a browser cannot decode."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from threading import Lock

from PIL import Image

from saymask.errors import ConfigError
from saymask.records import Video

MAX_OPEN = 4
QUALITY = 92


class Stills:
    """Keeps the videos open that were looked at last; used by any thread, one frame at a time. The model's worker is not needed."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Video] = OrderedDict()
        self._lock = Lock()

    def jpeg(self, video_id: str, open_video: Callable[[], Video], frame_idx: int) -> bytes:
        """One frame as a JPEG file.

        Raises:
            ConfigError: no such frame.
            VideoError: it cannot be decoded.
        """
        with self._lock:
            video = self._open.pop(video_id, None) or open_video()
            self._open[video_id] = video
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
            if not 0 <= frame_idx < video.num_frames:
                raise ConfigError(f"there is no frame {frame_idx}; the video has frames 0 to {video.num_frames - 1}")
            image = Image.fromarray(video.frames([frame_idx])[0])
        file = BytesIO()
        image.save(file, "jpeg", quality=QUALITY)
        return file.getvalue()
