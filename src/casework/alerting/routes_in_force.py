"""The routes that hold now: those of the file as it was last valid."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from casework.alerting.routes_file import NO_ROUTES, RoutesFileError, named_files, read_routes
from monitoring.alert_metrics import AlertMetrics

log = logging.getLogger(__name__)

_State = tuple[int, ...]

_GONE = "{} is gone: the routes stay as they were; an empty file takes them away"


class RoutesInForce:
    """Reads the file of routes when it has changed, or a file of a secret that it names.

    A file that cannot be used leaves the routes as they are; the log says which line is wrong, once
    for each change, and the metric `routes_file_valid` is 0. At the start there may be no file.
    """

    def __init__(
        self, path: Path, variables: Callable[[], Mapping[str, str]], metrics: AlertMetrics
    ) -> None:
        self.routes = NO_ROUTES
        self.problem: str | None = None
        self._path, self._variables, self._metrics = path, variables, metrics
        self._seen: _State | None = None
        self._secrets: dict[Path, _State | None] = {}

    def refresh(self) -> bool:
        """Read the file if it has changed; whether other routes hold now."""
        state = _state(self._path)
        if state == self._seen and self._secrets == _states(self._secrets):
            return False
        was, self._seen = self._seen, state
        self._secrets = _states(named_files(self._path))  # what changes from here on is read again
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


def _states(paths: Iterable[Path]) -> dict[Path, _State | None]:
    return {path: _state(path) for path in paths}


def _state(path: Path) -> _State | None:
    """What changes with a file and with who may read it; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # of a name that no file has
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
