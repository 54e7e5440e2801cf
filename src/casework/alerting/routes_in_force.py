"""The routes that hold now: those of the file as it was last valid."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from casework.alerting.routes_file import NO_ROUTES, RoutesFileError, read_routes
from monitoring.alert_metrics import AlertMetrics

log = logging.getLogger(__name__)

_GONE = "{} is gone: the routes stay as they were; an empty file takes them away"


class RoutesInForce:
    """Reads the file of routes when it has changed.

    A file that cannot be used leaves the routes as they are; the log says which line is wrong, once
    for each change, and the metric `routes_file_valid` is 0. At the start there may be no file.
    """

    def __init__(
        self, path: Path, variables: Callable[[], Mapping[str, str]], metrics: AlertMetrics
    ) -> None:
        self.routes = NO_ROUTES
        self.problem: str | None = None
        self._path, self._variables, self._metrics = path, variables, metrics
        self._seen: tuple[int, ...] | None = None

    def refresh(self) -> bool:
        """Read the file if it has changed; whether other routes hold now."""
        state = self._state()
        if state == self._seen:
            return False
        was, self._seen = self._seen, state
        if state is None:
            return self._refuse(_GONE.format(self._path.name)) if was else False
        try:
            routes = read_routes(self._path, self._variables())
        except RoutesFileError as error:
            return self._refuse(str(error))
        self.problem = None
        self._metrics.routes_file_valid.set(1)
        self._metrics.routes.set(len(routes.routes))
        changed, self.routes = routes != self.routes, routes
        log.info("event=routes_loaded routes=%d file=%s", len(routes.routes), self._path)
        return changed

    def _refuse(self, problem: str) -> bool:
        self.problem = problem
        self._metrics.routes_file_valid.set(0)
        log.error("event=routes_refused routes_in_force=%d %s", len(self.routes.routes), problem)
        return False

    def _state(self) -> tuple[int, ...] | None:
        """What changes with the file; None where there is none."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
