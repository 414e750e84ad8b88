"""The server's connections: as many as are bearable, and none that is held open without a request."""

from __future__ import annotations

import asyncio
import socket

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from saymask.errors import ConfigError

HEADER_SECONDS = 15.0
"""So long may the head of a request take."""
MAX_CONNECTIONS = 500
"""More get a bare 503; `Settings.max_requests` is reached before."""
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class TimedConnection(H11Protocol):
    """Ends connections on which no whole head of a request comes in time: a few hundred of them would keep everybody else out."""

    head_is_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        # Head and body of an answer are written apart: the body would wait 40 ms for the head's acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self.head_is_due is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self.head_is_due = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self.head_is_due is not None:
            self.head_is_due.cancel()
            self.head_is_due = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """Take an address; port 0 = any that is free.

    Raises:
        ConfigError: it is taken, or not of this machine.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024)
    except OSError as error:
        raise ConfigError(f"{host} port {port}: {error.strerror}; choose another --port or --host") from None


def server_of(app: FastAPI) -> uvicorn.Server:
    """What `saymask serve` runs: no log of requests, no name of the program in answers."""
    config = uvicorn.Config(
        app,
        http=TimedConnection,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)
