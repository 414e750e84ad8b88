"""The server as an ASGI application: its page, its requests, and how problems are said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import saymask
from saymask.errors import SaymaskError
from saymask.lookup import table
from saymask.web.answers import Health, Models, ProblemAnswer
from saymask.web.engine import Engine
from saymask.web.gate import Gate
from saymask.web.problems import Problem, log_bug, not_found
from saymask.web.routes.images import add_images
from saymask.web.routes.sessions import add_edits, add_sessions
from saymask.web.routes.videos import add_videos
from saymask.web.service import Service
from saymask.web.settings import Settings

PAGE = Path(str(files("saymask") / "web" / "page"))
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; media-src blob:; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # a page of another version would use requests that are no longer there
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemAnswer, "description": text}
    for status, text in {
        400: "It cannot be done",
        401: "The token is absent or wrong",
        403: "Not from there, or not here",
        404: "There is none",
        408: "The body came too slowly",
        409: "It is not in the state for that",
        413: "Too large",
        422: "Not what is expected",
        429: "So many are kept already",
        500: "A bug",
        503: "Too much waits; come again after `Retry-After` seconds",
        507: "The disk is full",
    }.items()
}
"""What any request may be told."""
_SWEEP_SECONDS = 60.0


def create_app(settings: Settings, *engines: Engine) -> FastAPI:
    """The server, to be run by any ASGI server in one process; each engine has a device of its own."""
    service = Service(settings, engines)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        sweeping = asyncio.create_task(_sweep(service))
        yield
        sweeping.cancel()
        await run_in_threadpool(service.stop)

    app = FastAPI(
        title="saymask",
        version=saymask.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=PROBLEMS,
        separate_input_output_schemas=False,
    )
    app.state.service = service
    app.add_middleware(Gate, settings=settings)
    _add_problems(app)
    _add_page(app, service)
    add_videos(app, service)
    add_images(app, service)
    add_sessions(app, service)
    add_edits(app, service)
    return app


async def _sweep(service: Service) -> None:
    """Sessions and uploads expire, whether or not anybody asks for room."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            await run_in_threadpool(service.expire)
        except Exception as error:
            log_bug(error)  # the next time may do better


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


def _add_page(app: FastAPI, service: Service) -> None:
    parts = {path.name: path for path in PAGE.iterdir()}

    @app.get("/", include_in_schema=False, response_class=FileResponse)
    @app.get("/page/{name}", include_in_schema=False, response_class=FileResponse)
    async def page(name: str = "index.html") -> FileResponse:
        if name not in parts:
            raise not_found("part of the page", name)
        return FileResponse(parts[name], headers=PAGE_HEADERS)

    @app.get("/health", response_model=Health)
    async def health() -> Any:
        """Whether it answers; needs no token."""
        return {"status": "ok", "version": saymask.__version__}

    @app.get("/v1/models", response_model=Models)
    async def models() -> Any:
        """What this server answers with, and in which formats it writes."""
        engine = service.engine
        return {
            "models": [{"id": engine.model, "tracker": engine.tracker, "prompter": engine.prompter}],
            "formats": list(table("format")),
        }
