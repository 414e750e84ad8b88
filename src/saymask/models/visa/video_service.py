"""The sampler's question to an OpenAI-compatible service: frames as JPEGs in a chat, several answers back.

The key is read from the environment (SAYMASK_VOTES_KEY) and from nowhere else; without one none is sent.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from http.client import HTTPException
from io import BytesIO
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image

from saymask.models.base import VideoView
from saymask.models.visa.context import spread
from saymask.models.visa.options import VisaOptions
from saymask.models.visa.votes import MOVIE_END, MOVIE_OPENING

KEY_VARIABLE = "SAYMASK_VOTES_KEY"
FRAMES_SENT, LONGEST_SIDE = 32, 512
TIMEOUT_SECONDS = 120
MAX_TOKENS = 64


def ask_service(view: VideoView, question: str, options: VisaOptions, opener: Callable[..., Any] = urlopen) -> list[str]:
    """Texts of `options.num_votes` answers, or of as many as the service gives at a time.

    Raises:
        OSError: the address cannot be reached, is too slow, or answers with an error.
        ValueError: what it answers is no chat completion.
    """
    frames_THWC = view.frames(spread(view.video.num_frames, FRAMES_SENT))
    images = [{"type": "image_url", "image_url": {"url": _data_url(frame_HWC)}} for frame_HWC in frames_THWC]
    content = [{"type": "text", "text": MOVIE_OPENING}, *images, {"type": "text", "text": f"{MOVIE_END}\n{question}"}]
    body = {
        "model": options.votes_model,
        "messages": [{"role": "user", "content": content}],
        "n": options.num_votes,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "seed": options.seed,
        "max_tokens": MAX_TOKENS,
    }
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["Authorization"] = f"Bearer {key}"
    request = Request(f"{str(options.votes_url).rstrip('/')}/chat/completions", json.dumps(body).encode(), headers)
    try:
        with opener(request, timeout=TIMEOUT_SECONDS) as response:
            answer = response.read()
    except HTTPException as error:  # the connection broke while it answered
        raise OSError(str(error) or type(error).__name__) from None
    try:
        texts = [choice["message"]["content"] for choice in json.loads(answer)["choices"]]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"its answer is no chat completion: {answer[:80]!r}") from None
    return [text for text in texts if isinstance(text, str)]


def _data_url(frame_HWC: np.ndarray) -> str:
    image = Image.fromarray(frame_HWC)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = BytesIO()
    image.save(buffer, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
