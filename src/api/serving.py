"""How the service is run without a command line of uvicorn's: address, processes, a quiet log."""

import logging
import os
import signal
import sys
import tempfile
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI

from core.settings import ApiSettings, BindSettings

_WORKER_SILENT_SECONDS = 120
"""A worker silent for longer is replaced; on a busy machine its imports alone take many seconds."""


def run(app: FastAPI | str, settings: ApiSettings) -> None:
    """Serve an application, or what several workers import as one, until SIGTERM or Ctrl-C.

    Requests under way are finished first; the exit code is 0.
    """
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="api-metrics-") as folder:
        if settings.workers > 1:  # read by prometheus_client in the processes that are started
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            app,
            host=BindSettings().bind_address,
            port=settings.api_port,
            workers=settings.workers,
            loop="uvloop",
            http="httptools",
            log_config=None,
            access_log=settings.api_access_log,
            server_header=False,
            timeout_graceful_shutdown=int(settings.api_request_seconds) + 1,
            timeout_worker_healthcheck=_WORKER_SILENT_SECONDS,
        )


def quiet(access_log: bool) -> None:
    """Keep uvicorn from logging every request unless wanted, however it was started."""
    if not access_log:
        logger = logging.getLogger("uvicorn.access")
        logger.handlers.clear()
        logger.propagate = False


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """uvicorn hands the signal back once it has ended: that is a good end."""
    sys.exit(0)
