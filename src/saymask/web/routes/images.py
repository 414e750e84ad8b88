"""Requests about a single image: asked and answered at once."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from starlette.concurrency import run_in_threadpool

from saymask.errors import VideoError
from saymask.records import Prediction, Video
from saymask.video.limits import ReadLimits
from saymask.video.stills import is_image, open_image
from saymask.web.answers import Predicted, file_body
from saymask.web.bodies import Text
from saymask.web.engine import object_to_json
from saymask.web.gate import check_claimed
from saymask.web.problems import too_large, too_slow
from saymask.web.service import Service

MAX_QUERIES = 8
"""About one image."""


def add_images(app: FastAPI, service: Service) -> None:
    settings = service.settings
    limits = ReadLimits(settings.max_image_pixels, 1)

    @app.post("/v1/predict", response_model=Predicted, openapi_extra=file_body("image/*"))
    async def predict(
        request: Request,
        query: Annotated[list[Text], Query(min_length=1, max_length=MAX_QUERIES)],
        answer: Literal["forced", "generate"] | None = None,
    ) -> Any:
        """The body is an image; the objects of every query on it, in one answer."""
        check_claimed(request.headers, settings.max_upload_bytes)
        path = service.scratch / secrets.token_hex(12)
        try:
            await _receive_image(request, path, settings.max_upload_bytes, settings.max_body_seconds)
            image = await run_in_threadpool(_open_image, path, limits)
            options = {"answer": answer} if answer else {}
            prediction = await service.predict(lambda engine: engine.predict(image, query, options))
        finally:
            path.unlink(missing_ok=True)
        return _predicted(prediction)


async def _receive_image(request: Request, path: Path, limit: int, seconds: float) -> None:
    try:
        with path.open("xb") as file:
            async with asyncio.timeout(seconds):
                async for piece in request.stream():
                    if file.tell() + len(piece) > limit:
                        raise too_large(limit)
                    file.write(piece)
    except TimeoutError:
        raise too_slow(seconds) from None


def _open_image(path: Path, limits: ReadLimits) -> Video:
    """Where the server keeps it is nobody's business: messages say "the image"."""
    try:
        if path.stat().st_size == 0 or not is_image(path):
            raise VideoError("the body is no image; send a png, jpg, webp, bmp or tiff file, and videos to /v1/videos")
        return open_image(path, limits)
    except VideoError as error:
        raise VideoError(str(error).replace(str(path), "the image")) from None


def _predicted(prediction: Prediction) -> dict[str, Any]:
    """Objects with a mask on the only frame; what a query did not find has none."""
    results = []
    for result in prediction.results:
        on_frame = [(masklet.obj_id, masklet.rle_T[0], float(masklet.frame_scores_T[0])) for masklet in result.masklets]
        objects = [object_to_json(result.query, *found) for found in on_frame if found[1].area]
        results.append({"query": result.query, "text": result.text, "objects": objects})
    return {"width": prediction.video.width, "height": prediction.video.height, "results": results}
