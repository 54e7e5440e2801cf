"""MLflow over its REST API: all that a service asks of the registry.

MLflow's own client would take 90 MiB and a second of processor time of whoever scores. See
https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

API = "/api/2.0/mlflow"
TIMEOUT_SECONDS = 10
_PART_BYTES = 2**20
_MISSING = "RESOURCE_DOES_NOT_EXIST"


class RegistryUnavailableError(RuntimeError):
    """MLflow does not answer, or not as expected; the message says which server and how."""


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Turn every way in which the server can fail into `RegistryUnavailableError`.

    What it says is read inside too: another service at its address answers in its own way.
    """
    try:
        yield
    except (requests.ConnectionError, requests.Timeout) as error:
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} does not answer") from error
    except (KeyError, TypeError, AttributeError) as error:
        says = "answers otherwise than MLflow does"
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} {says}") from error
    except requests.RequestException as error:
        reason = (str(error) or repr(error)).splitlines()[0][:200]
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} fails: {reason}") from error


def ask(tracking_uri: str, path: str, query: Mapping[str, str]) -> Any:
    """What the server says at a path of its API; None for what does not exist."""
    with answering(tracking_uri), _sent("GET", tracking_uri, API + path, params=query) as answer:
        return None if _is_missing(answer) else answer.json()


def tell(tracking_uri: str, path: str, content: Mapping[str, str]) -> None:
    """Change something by the server's API."""
    with answering(tracking_uri), _sent("POST", tracking_uri, API + path, json=content) as answer:
        answer.raise_for_status()


def fetch(tracking_uri: str, name: str, version: str, file: str, folder: Path) -> None:
    """Copy a file of a registered version into a folder; nothing where there is no such file.

    The server reads it from wherever its artifacts are kept.
    """
    query = {"name": name, "version": version, "path": file}
    path = "/model-versions/get-artifact"
    with answering(tracking_uri), _sent("GET", tracking_uri, path, params=query) as answer:
        if _is_missing(answer):
            return
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        with (folder / file).open("wb") as copy:
            copy.writelines(answer.iter_content(_PART_BYTES))


def _sent(method: str, tracking_uri: str, path: str, **content: Any) -> requests.Response:
    """Send a request; raises `requests.HTTPError`, with what the server said, for any failure."""
    url = tracking_uri.rstrip("/") + path
    answer = requests.request(method, url, timeout=TIMEOUT_SECONDS, stream=True, **content)
    if not (answer.ok or _is_missing(answer)):
        raise requests.HTTPError(f"{answer.status_code} {answer.text}")
    return answer


def _is_missing(answer: requests.Response) -> bool:
    return answer.status_code == 404 and _MISSING in answer.text
