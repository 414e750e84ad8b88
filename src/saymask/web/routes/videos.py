"""Requests about videos: brought as one body, in parts, or named by a path of the server."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool

from saymask.web.answers import VideoFacts, file_body
from saymask.web.bodies import VideoPath
from saymask.web.gate import check_claimed
from saymask.web.problems import Problem
from saymask.web.service import Service

_TUS = "1.0.0"
"""Version of the protocol of resumable uploads (https://tus.io)."""
_PATCH_TYPE = "application/offset+octet-stream"
UploadName = Annotated[str, Query(max_length=1000, description="For people; never used as a path.")]


def _no_body(status: int, headers: Mapping[str, str]) -> dict[int | str, dict[str, Any]]:
    """What the schema says of an answer that is all headers."""
    described = {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    return {status: {"description": "Headers alone", "headers": described}}


def add_videos(app: FastAPI, service: Service) -> None:
    probing = asyncio.Semaphore(2)  # headers are read, which is work too
    videos, settings = service.videos, service.settings

    async def finish(upload_id: str) -> dict[str, Any]:
        async with probing:
            return await run_in_threadpool(videos.finish, upload_id)

    @app.post("/v1/videos", status_code=201, response_model=VideoFacts, openapi_extra=file_body("application/octet-stream"))
    async def upload(request: Request, name: UploadName = "video") -> Any:
        """The body is the file itself."""
        claimed = check_claimed(request.headers, settings.max_upload_bytes)
        upload_id = videos.begin_upload(name, claimed or 0, in_parts=False)
        try:
            await videos.receive(upload_id, 0, request.stream())
        except BaseException:
            videos.drop_upload(upload_id)
            raise
        return await finish(upload_id)

    @app.post("/v1/videos/by-path", status_code=201, response_model=VideoFacts)
    async def by_path(body: VideoPath) -> Any:
        """A video that lies under the server's root."""
        async with probing:
            return await run_in_threadpool(videos.add_path, body.path)

    @app.get("/v1/videos/{video_id}", response_model=VideoFacts)
    async def video_facts(video_id: str) -> Any:
        """Size and the time of every frame."""
        return videos.facts(video_id)

    @app.get(
        "/v1/videos/{video_id}/file",
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
    )
    async def video_file(video_id: str) -> FileResponse:
        """The file as it came."""
        headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
        return FileResponse(videos.path(video_id), media_type="application/octet-stream", headers=headers)

    @app.get(
        "/v1/videos/{video_id}/frames/{frame_idx}",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}},
    )
    async def frame(video_id: str, frame_idx: int) -> Response:
        """One frame as a JPEG file, for browsers that cannot decode the video."""
        async with probing:
            content = await run_in_threadpool(videos.still, video_id, frame_idx)
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    _add_uploads(app, service, finish)


def _add_uploads(app: FastAPI, service: Service, finish: Any) -> None:
    """Resumable uploads: the core of tus 1.0 with creation, expiration and termination."""
    videos, settings = service.videos, service.settings

    def of_progress(upload_id: str) -> dict[str, str]:
        received, size = videos.progress(upload_id)
        return {"Upload-Offset": str(received), "Upload-Length": str(size), "Cache-Control": "no-store", "Tus-Resumable": _TUS}

    def require_version(shown: str | None) -> None:
        if shown not in (None, _TUS):
            raise Problem(412, "other_version", f"version {shown[:20]!r} of tus is not spoken here", f"use {_TUS}", {"Tus-Version": _TUS})

    expires = {"Upload-Expires": "when it is forgotten if nothing more comes"}

    @app.options(
        "/v1/uploads",
        status_code=204,
        response_class=Response,
        responses=_no_body(204, {"Tus-Version": "", "Tus-Extension": "", "Tus-Max-Size": "bytes"}),
    )
    async def abilities() -> Response:
        """What of tus is spoken."""
        headers = {"Tus-Version": _TUS, "Tus-Extension": "creation,expiration,termination", "Tus-Max-Size": str(settings.max_upload_bytes)}
        return Response(status_code=204, headers={**headers, "Tus-Resumable": _TUS})

    def expiry() -> dict[str, str]:
        at = datetime.fromtimestamp(datetime.now(UTC).timestamp() + settings.upload_idle_seconds, UTC)
        return {"Upload-Expires": format_datetime(at, usegmt=True)}

    @app.post("/v1/uploads", status_code=201, response_class=Response, responses=_no_body(201, {"Location": "of the upload", **expires}))
    async def create(
        upload_length: Annotated[int, Header(ge=1, le=2**63 - 1)],
        upload_metadata: Annotated[str, Header(max_length=2000)] = "",
        tus_resumable: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Begin an upload of so many bytes; its id will be the video's."""
        require_version(tus_resumable)
        upload_id = videos.begin_upload(_name_in(upload_metadata), upload_length, in_parts=True)
        headers = {"Location": f"/v1/uploads/{upload_id}", "Tus-Resumable": _TUS, **expiry()}
        return Response(status_code=201, headers=headers)

    @app.head(
        "/v1/uploads/{upload_id}",
        response_class=Response,
        responses=_no_body(200, {"Upload-Offset": "the next byte", "Upload-Length": "bytes in all"}),
    )
    async def progress(upload_id: str) -> Response:
        """How many bytes are safe."""
        return Response(headers=of_progress(upload_id))

    @app.patch(
        "/v1/uploads/{upload_id}",
        status_code=204,
        response_class=Response,
        responses=_no_body(204, {"Upload-Offset": "the next byte", **expires}),
        openapi_extra=file_body(_PATCH_TYPE),
    )
    async def append(
        request: Request,
        upload_id: str,
        upload_offset: Annotated[int, Header(ge=0, le=2**63 - 1)],
        content_type: Annotated[str, Header()] = "",
        tus_resumable: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Bytes from `Upload-Offset` on. With the last one the upload becomes a video: 422 if it is none."""
        require_version(tus_resumable)
        if content_type != _PATCH_TYPE:
            raise Problem(415, "other_type", f"the body is {content_type[:40]!r}", f"send Content-Type: {_PATCH_TYPE}")
        check_claimed(request.headers, settings.max_upload_bytes)
        received = await videos.receive(upload_id, upload_offset, request.stream())
        if received == videos.progress(upload_id)[1]:
            await finish(upload_id)
        return Response(status_code=204, headers={"Upload-Offset": str(received), "Tus-Resumable": _TUS, **expiry()})

    @app.delete("/v1/uploads/{upload_id}", status_code=204, response_class=Response, responses={204: {"description": "It is forgotten"}})
    async def drop(upload_id: str) -> Response:
        """Forget an upload that is not complete."""
        videos.drop_upload(upload_id)
        return Response(status_code=204, headers={"Tus-Resumable": _TUS})


def _name_in(metadata: str) -> str:
    """The file's name among tus' pairs of a key and a value in base64, separated by commas."""
    pairs = (pair.strip().partition(" ") for pair in metadata.split(","))
    encoded = next((value for key, _, value in pairs if key in ("filename", "name")), "")
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", errors="replace")
    except (binascii.Error, ValueError):
        raise Problem(
            400, "bad_metadata", "the name in Upload-Metadata is not in base64", "encode it, e.g. `filename Y2xpcC5tcDQ=`"
        ) from None
