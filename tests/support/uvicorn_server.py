"""A uvicorn server on the event loop of the test."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


@asynccontextmanager
async def serving(app: Any, sockets: list[socket.socket], **options: Any) -> AsyncIterator[None]:
    """Serve an application without lifespan events; the options are those of `uvicorn.Config`."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, **options)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=sockets)
    try:
        yield
    finally:
        await server.shutdown(sockets=sockets)
