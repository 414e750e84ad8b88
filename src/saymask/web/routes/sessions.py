"""Requests about sessions: queries, jobs and their events, exports, and what a user does by hand."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from saymask.errors import ConfigError
from saymask.session import Editor
from saymask.video.coco_rle import read_rle
from saymask.web.answers import Cancelled, Created, DroppedAnswer, JobState, Placed, Promised, Renamed, SessionState, Undone
from saymask.web.bodies import Dropped, JobId, NewBox, NewClick, NewMask, NewName, NewQuery, NewSession, Place, Propagation
from saymask.web.engine import frame_to_json
from saymask.web.service import Service


def add_sessions(app: FastAPI, service: Service) -> None:
    @app.post("/v1/sessions", status_code=201, response_model=Created)
    async def add_session(body: NewSession) -> Any:
        """Begin to work on a video."""
        return {"id": service.add_session(body.video_id)}

    @app.get("/v1/sessions/{session_id}", response_model=SessionState)
    async def session(session_id: str) -> Any:
        """Its video, the ids of its jobs that have not ended, and every mask."""
        return JSONResponse(service.session(session_id))  # megabytes of masks that were checked when they were made

    @app.delete("/v1/sessions/{session_id}", response_model=DroppedAnswer)
    async def drop_session(session_id: str) -> Any:
        """Forget a session; and its video, if it was the last session of it."""
        service.drop_session(session_id)
        return {"dropped": True}

    @app.post("/v1/sessions/{session_id}/queries", status_code=202, response_model=Promised)
    async def ask(session_id: str, body: NewQuery) -> Any:
        """Promise to ask; the masks come by the job's events."""
        return {"job_id": service.add_job(session_id, body.model_dump(exclude_none=True))}

    @app.post("/v1/sessions/{session_id}/propagate", status_code=202, response_model=Promised)
    async def propagate(session_id: str, body: Propagation) -> Any:
        """Promise to carry what was given on a frame to others; the masks come by the job's events."""
        return {"job_id": service.add_job(session_id, body.model_dump())}

    @app.post("/v1/sessions/{session_id}/cancel", response_model=Cancelled)
    async def cancel(session_id: str) -> Any:
        """End the session's jobs after the frame that they are at."""
        return {"cancelled": service.cancel(session_id)}

    @app.get("/v1/jobs/{job_id}", response_model=JobState)
    async def job(job_id: JobId) -> Any:
        """waiting, done, failed or cancelled."""
        return {"state": service.job(job_id)["state"]}

    @app.get(
        "/v1/jobs/{job_id}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def events(job_id: JobId) -> StreamingResponse:
        """Server-sent events: `frame` with its masks, at last `end` with the job's state."""
        service.job(job_id)
        return StreamingResponse(service.follow(job_id), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.get(
        "/v1/sessions/{session_id}/export/{format_name}",
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
    )
    async def export(session_id: str, format_name: str) -> FileResponse:
        """The masks as a file of a format of `saymask list`; a format that is a folder comes as a zip."""
        draft = Path(tempfile.mkdtemp(dir=service.scratch))
        try:
            path = await service.export(session_id, format_name, draft)
            if path.is_dir():
                path = Path(await run_in_threadpool(shutil.make_archive, str(path), "zip", path))
        except BaseException:
            shutil.rmtree(draft)
            raise
        return FileResponse(path, filename=path.name, background=BackgroundTask(shutil.rmtree, draft))


def add_edits(app: FastAPI, service: Service) -> None:
    async def placed(session_id: str, place: Place, change: Callable[[Editor], int]) -> dict[str, Any]:
        def step(editor: Editor) -> dict[str, Any]:
            obj_id = change(editor)
            return {"query": place.query, "obj_id": obj_id, **frame_to_json(editor.frame(place.frame_idx))}

        return await service.edit(session_id, step)

    @app.post("/v1/sessions/{session_id}/clicks", response_model=Placed)
    async def click(session_id: str, body: NewClick) -> Any:
        """The object's id, and the frame's masks."""
        return await placed(session_id, body, lambda editor: editor.add_click(**body.model_dump()))

    @app.post("/v1/sessions/{session_id}/boxes", response_model=Placed)
    async def box(session_id: str, body: NewBox) -> Any:
        """The object's id, and the frame's masks."""
        return await placed(session_id, body, lambda editor: editor.add_box(**body.model_dump()))

    @app.post("/v1/sessions/{session_id}/masks", response_model=Placed)
    async def mask(session_id: str, body: NewMask) -> Any:
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

    @app.post("/v1/sessions/{session_id}/rename", response_model=Renamed)
    async def rename(session_id: str, body: NewName) -> Any:
        """Exports that draw names draw this one."""
        await service.edit(session_id, lambda editor: editor.rename_object(**body.model_dump()))
        return {"renamed": True}

    @app.post("/v1/sessions/{session_id}/drop", response_model=DroppedAnswer)
    async def drop(session_id: str, body: Dropped) -> Any:
        """Take an object away, or a query with all its objects."""

        def step(editor: Editor) -> None:
            if body.obj_id is None:
                editor.drop_query(body.query)
            else:
                editor.drop_object(body.query, body.obj_id)

        await service.edit(session_id, step)
        return {"dropped": True}

    @app.post("/v1/sessions/{session_id}/undo", response_model=Undone)
    async def undo(session_id: str) -> Any:
        """Take the last change back, whichever it was."""
        return {"undone": await service.undo(session_id)}
