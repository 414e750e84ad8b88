"""The routes: each checks what it was sent, asks the service and says it in JSON."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import saymask
from saymask.errors import ConfigError, SaymaskError
from saymask.lookup import table
from saymask.session import Editor
from saymask.video.coco_rle import read_rle
from saymask.web.bodies import Dropped, NewBox, NewClick, NewMask, NewName, NewQuery, NewSession, Place, Propagation, VideoPath
from saymask.web.engine import Engine, frame_to_json
from saymask.web.gate import Gate, check_claimed, too_large, too_slow
from saymask.web.problems import Problem, not_found
from saymask.web.service import Service
from saymask.web.settings import Settings

PAGE = Path(str(files("saymask") / "web" / "page"))
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; media-src blob:; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # a page of another version would use requests that are no longer there
}


def create_app(settings: Settings, engine: Engine) -> FastAPI:
    """The server, to be run by any ASGI server in one process."""
    service = Service(settings, engine)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(title="saymask", version=saymask.__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Gate, settings=settings)
    _add_problems(app)
    _add_page(app)
    _add_videos(app, service)
    _add_sessions(app, service)
    _add_edits(app, service)
    return app


def _add_problems(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(SaymaskError)
    async def refused(request: Request, error: SaymaskError) -> JSONResponse:
        return Problem.of(error).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        where = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()[:5])
        return Problem(422, "invalid_request", where, "see /openapi.json for what is expected").response()

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        return Problem(error.status_code, "http", str(error.detail), "see /openapi.json for what there is").response()

    @app.exception_handler(Exception)
    async def mistake(request: Request, error: Exception) -> JSONResponse:
        return Problem(500, "internal", "the server made a mistake", "look at its log").response()


def _add_page(app: FastAPI) -> None:
    parts = {path.name: path for path in PAGE.iterdir()}

    @app.get("/", include_in_schema=False, response_class=FileResponse)
    @app.get("/page/{name}", include_in_schema=False, response_class=FileResponse)
    async def page(name: str = "index.html") -> FileResponse:
        if name not in parts:
            raise not_found("part of the page", name)
        return FileResponse(parts[name], headers=PAGE_HEADERS)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": saymask.__version__}


def _add_videos(app: FastAPI, service: Service) -> None:
    probing = asyncio.Semaphore(2)  # headers are read, which is work too

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """What this server answers with, and in which formats it writes."""
        engine = service.engine
        return {
            "models": [{"id": engine.model, "tracker": engine.tracker, "prompter": engine.prompter}],
            "formats": list(table("format")),
        }

    @app.post("/v1/videos", status_code=201)
    async def upload(request: Request, name: Annotated[str, Query(max_length=1000)] = "video") -> dict[str, Any]:
        """The body is the file itself."""
        settings = service.settings
        check_claimed(request.headers, settings.max_upload_bytes)
        video_id = service.room_for_video()
        path = settings.data / "videos" / video_id
        try:
            with path.open("xb") as file:
                async with asyncio.timeout(settings.max_upload_seconds):
                    async for piece in request.stream():
                        file.write(piece)
                        if file.tell() > settings.max_upload_bytes:
                            raise too_large(settings.max_upload_bytes)
            async with probing:
                return await run_in_threadpool(service.add_video, video_id, name, path)
        except TimeoutError:
            path.unlink()
            raise too_slow(settings.max_upload_seconds) from None
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    @app.post("/v1/videos/by-path", status_code=201)
    async def by_path(body: VideoPath) -> dict[str, Any]:
        """A video that lies under the server's root."""
        path = service.path_under_root(body.path)
        async with probing:
            return await run_in_threadpool(service.add_video, service.room_for_video(), path.name, path)

    @app.get("/v1/videos/{video_id}/file", response_class=FileResponse)
    async def video_file(video_id: str) -> FileResponse:
        headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
        return FileResponse(service.video_file(video_id), media_type="application/octet-stream", headers=headers)

    @app.get("/v1/videos/{video_id}/frames/{frame_idx}", response_class=Response)
    async def frame(video_id: str, frame_idx: int) -> Response:
        """One frame as a JPEG file, for browsers that cannot decode the video."""
        async with probing:
            content = await run_in_threadpool(service.still, video_id, frame_idx)
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _add_sessions(app: FastAPI, service: Service) -> None:
    @app.post("/v1/sessions", status_code=201)
    async def add_session(body: NewSession) -> dict[str, str]:
        return {"id": service.add_session(body.video_id)}

    @app.get("/v1/sessions/{session_id}")
    async def session(session_id: str) -> dict[str, Any]:
        """Its video, the ids of its jobs that have not ended, and every mask."""
        return service.session(session_id)

    @app.delete("/v1/sessions/{session_id}")
    async def drop_session(session_id: str) -> dict[str, bool]:
        service.drop_session(session_id)
        return {"dropped": True}

    @app.post("/v1/sessions/{session_id}/queries", status_code=202)
    async def ask(session_id: str, body: NewQuery) -> dict[str, int]:
        """Promise to ask; the masks come by the job's events."""
        return {"job_id": service.add_job(session_id, body.model_dump(exclude_none=True))}

    @app.post("/v1/sessions/{session_id}/propagate", status_code=202)
    async def propagate(session_id: str, body: Propagation) -> dict[str, int]:
        """Promise to carry what was given on a frame to others; the masks come by the job's events."""
        return {"job_id": service.add_job(session_id, body.model_dump())}

    @app.post("/v1/sessions/{session_id}/cancel")
    async def cancel(session_id: str) -> dict[str, int]:
        """End the session's jobs after the frame that they are at."""
        return {"cancelled": service.cancel(session_id)}

    @app.get("/v1/jobs/{job_id}")
    async def job(job_id: int) -> dict[str, str]:
        """waiting, done, failed or cancelled."""
        return {"state": service.job(job_id)["state"]}

    @app.get("/v1/jobs/{job_id}/events", response_class=StreamingResponse)
    async def events(job_id: int) -> StreamingResponse:
        """Server-sent events: `frame` with its masks, at last `end` with the job's state."""
        service.job(job_id)
        return StreamingResponse(service.follow(job_id), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.get("/v1/sessions/{session_id}/export/{format_name}", response_class=FileResponse)
    async def export(session_id: str, format_name: str) -> FileResponse:
        """The masks as a file of a format of `saymask list`; a format that is a folder comes as a zip."""
        draft = Path(tempfile.mkdtemp(prefix="saymask-export-"))
        try:
            path = await service.export(session_id, format_name, draft)
            if path.is_dir():
                path = Path(await run_in_threadpool(shutil.make_archive, str(path), "zip", path))
        except BaseException:
            shutil.rmtree(draft)
            raise
        return FileResponse(path, filename=path.name, background=BackgroundTask(shutil.rmtree, draft))


def _add_edits(app: FastAPI, service: Service) -> None:
    async def placed(session_id: str, place: Place, change: Callable[[Editor], int]) -> dict[str, Any]:
        def step(editor: Editor) -> dict[str, Any]:
            obj_id = change(editor)
            return {"query": place.query, "obj_id": obj_id, **frame_to_json(editor.frame(place.frame_idx))}

        return await service.edit(session_id, step)

    @app.post("/v1/sessions/{session_id}/clicks")
    async def click(session_id: str, body: NewClick) -> dict[str, Any]:
        """The object's id, and the frame's masks."""
        return await placed(session_id, body, lambda editor: editor.add_click(**body.model_dump()))

    @app.post("/v1/sessions/{session_id}/boxes")
    async def box(session_id: str, body: NewBox) -> dict[str, Any]:
        """The object's id, and the frame's masks."""
        return await placed(session_id, body, lambda editor: editor.add_box(**body.model_dump()))

    @app.post("/v1/sessions/{session_id}/masks")
    async def mask(session_id: str, body: NewMask) -> dict[str, Any]:
        """The object's id, and the frame's masks."""

        def add(editor: Editor) -> int:
            size = (editor.video.height, editor.video.width)
            if body.rle.size != size:  # before anything of that size is made
                raise ConfigError(f"the mask has size {list(body.rle.size)}; give {list(size)}, the video's")
            try:
                mask_HW = read_rle(body.rle.model_dump()).decode()
            except ValueError as error:
                raise ConfigError(f"{error}; give COCO's run lengths") from None
            return editor.add_mask(body.frame_idx, mask_HW, body.query, body.obj_id)

        return await placed(session_id, body, add)

    @app.post("/v1/sessions/{session_id}/rename")
    async def rename(session_id: str, body: NewName) -> dict[str, bool]:
        """Exports that draw names draw this one."""
        await service.edit(session_id, lambda editor: editor.rename_object(**body.model_dump()))
        return {"renamed": True}

    @app.post("/v1/sessions/{session_id}/drop")
    async def drop(session_id: str, body: Dropped) -> dict[str, bool]:
        def step(editor: Editor) -> None:
            if body.obj_id is None:
                editor.drop_query(body.query)
            else:
                editor.drop_object(body.query, body.obj_id)

        await service.edit(session_id, step)
        return {"dropped": True}

    @app.post("/v1/sessions/{session_id}/undo")
    async def undo(session_id: str) -> dict[str, bool]:
        """Take the last change back, whichever it was; since the server's start, or since the session was opened last."""
        return {"undone": await service.edit(session_id, Editor.undo)}
