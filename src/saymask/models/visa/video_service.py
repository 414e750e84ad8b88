"""The sampler's question to an OpenAI-compatible server: frames as JPEGs in a chat, several answers back."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from saymask.errors import ServiceError
from saymask.models.base import VideoView
from saymask.models.visa.context import spread
from saymask.models.visa.options import VisaOptions
from saymask.models.visa.votes import MOVIE_END, MOVIE_OPENING
from saymask.storage.chat_server import ChatServer, image_part, text_part

KEY_VARIABLES = ("SAYMASK_VOTES_KEY", "OPENAI_API_KEY")
"""Where a key is read from; it is read from nowhere else."""
FRAMES_SENT, LONGEST_SIDE = 32, 512
ATTEMPTS = 2
MAX_TOKENS = 64


def ask_service(view: VideoView, question: str, options: VisaOptions) -> list[str]:
    """Texts of `options.num_votes` answers; a server that gives fewer at a time is asked again.

    Raises:
        ServiceError: the address cannot be reached, refuses, or answers something else than chats.
    """
    frames_THWC = view.frames(spread(view.video.num_frames, FRAMES_SENT))
    images = [image_part(_jpeg(frame_HWC)) for frame_HWC in frames_THWC]
    content = [text_part(MOVIE_OPENING), *images, text_part(f"{MOVIE_END}\n{question}")]
    sampling = {"temperature": options.temperature, "top_p": options.top_p, "max_tokens": MAX_TOKENS}
    body = {"model": options.votes_model, "messages": [{"role": "user", "content": content}], **sampling}
    server = ChatServer(str(options.votes_url), KEY_VARIABLES, attempts=ATTEMPTS)
    texts: list[str] = []
    while len(texts) < options.num_votes:
        answer = server.post({**body, "n": options.num_votes - len(texts), "seed": options.seed + len(texts)})
        try:
            said = [str(choice["message"]["content"] or "") for choice in answer["choices"]]
        except (KeyError, TypeError):
            said = []
        if not said:
            raise ServiceError(f"{server.address}: its answer is none of an OpenAI-compatible server")
        texts += said
    return texts[: options.num_votes]


def _jpeg(frame_HWC: np.ndarray) -> bytes:
    image = Image.fromarray(frame_HWC)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()
