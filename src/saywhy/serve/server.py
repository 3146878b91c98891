"""The process of the service: it listens where only those come who may, and ends gracefully."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from saywhy.config import Config
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.serve.app import service_app
from saywhy.serve.options import ServiceSettings, checked_token
from saywhy.serve.service import Service, opened_service

SECONDS_BETWEEN_LOOKS = 0.05
"""How often it is looked whether the last batch is finished."""
HEADER_SECONDS = 15.0
"""How long a client may take to send the header of a request; longer than an idle connection is kept."""


def run_service(settings: ServiceSettings, config: Config) -> None:
    """Serve until a signal ends it; what is being computed then is finished, and the signal raised again.

    Raises:
        SaywhyError: If the address, the model, the task or the log cannot be used.
    """
    token = checked_token(settings, os.environ)
    with bound_socket(settings) as listener:  # before the model: loading takes longer
        service = opened_service(settings, config)
        try:
            server = GracefulServer(service, listener, token)
            server.run(sockets=[listener])
        finally:
            service.close()
    if server.ended_by:
        signal.raise_signal(server.ended_by)


def bound_socket(settings: ServiceSettings) -> socket.socket:
    """Return a socket at the address of the service.

    Raises:
        SaywhyError: If there is no such address, or it is in use.
    """
    host, port = settings.host.strip("[]"), settings.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise SaywhyError(f"host={host} port={port} cannot be listened at ({why}): give another one") from error
    return listener


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose next request does not come: half a header would hold it for ever."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_request()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        if self._patience:
            self._patience.cancel()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        if self._patience:
            self._patience.cancel()
        self._patience = self.loop.call_later(HEADER_SECONDS, self._close_unless_asked)

    def _close_unless_asked(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class GracefulServer(uvicorn.Server):
    """A server that, at the first signal, refuses what is new, finishes what is computed, and then ends.

    Attributes:
        ended_by: Number of the signal; None: it was ended otherwise.
    """

    def __init__(self, service: Service, listener: socket.socket, token: str | None = None) -> None:
        """Prepare it.

        Args:
            service: What answers.
            listener: Where it listens.
            token: What clients must send; None: nothing, and requests must name this machine (``names_loopback``).
        """
        super().__init__(
            uvicorn.Config(
                service_app(service, token, loopback_only=token is None),
                http=ImpatientProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,  # a path may hold a text
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        self.ended_by: int | None = None
        self._service, self._listener = service, listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say where."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        host, port = self._listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        say(f"saywhy answers at http://{shown}:{port} ({self._service.task.name}); Ctrl-C ends it")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End gracefully at the first signal, at once at a second one."""
        if self.ended_by is not None:
            self.force_exit = self.should_exit = True
            return
        self.ended_by = sig
        self.end()

    def end(self) -> None:
        """Refuse what is new, finish what is computed, then end; from any thread, or within a signal."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._begin_to_end)
        else:
            self.should_exit = True

    def _begin_to_end(self) -> None:
        self._ending = self._ending or asyncio.create_task(self._finish())

    async def _finish(self) -> None:
        self._service.queue.stop()
        while not self._service.queue.is_done:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        self.should_exit = True
