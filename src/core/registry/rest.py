"""MLflow's REST API: the few requests that a service makes to the model registry.

MLflow's own client would take 90 MiB and a second of processor time in each service that scores.
See https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

API = "/api/2.0/mlflow"
TIMEOUT_SECONDS = 10
_CHUNK_BYTES = 2**20
_MISSING = "RESOURCE_DOES_NOT_EXIST"


class RegistryUnavailableError(RuntimeError):
    """MLflow does not answer, or not as expected; the message names the server and the fault."""


@contextmanager
def registry_errors(tracking_uri: str) -> Iterator[None]:
    """Turn every failure of the server into `RegistryUnavailableError`.

    The answer is read inside too, since another service at the address answers in another form.
    """
    try:
        yield
    except (requests.ConnectionError, requests.Timeout) as error:
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} does not answer") from error
    except (KeyError, TypeError, AttributeError) as error:
        fault = "answers otherwise than MLflow does"
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} {fault}") from error
    except requests.RequestException as error:
        reason = (str(error) or repr(error)).splitlines()[0][:200]
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} fails: {reason}") from error


def get(tracking_uri: str, path: str, query: Mapping[str, str]) -> Any:
    """The JSON at a path of the API; None where the resource does not exist."""
    request = _request("GET", tracking_uri, API + path, params=query)
    with registry_errors(tracking_uri), request as response:
        return None if _is_missing(response) else response.json()


def post(tracking_uri: str, path: str, content: Mapping[str, Any]) -> Any:
    """Search or change something through the API; returns the JSON of the answer."""
    request = _request("POST", tracking_uri, API + path, json=content)
    with registry_errors(tracking_uri), request as response:
        response.raise_for_status()
        return response.json()


def download_file(tracking_uri: str, name: str, version: str, file: str, folder: Path) -> None:
    """Copy a file of a registered version into a folder; nothing where the file does not exist.

    The server reads it from its artifact store.
    """
    query = {"name": name, "version": version, "path": file}
    request = _request("GET", tracking_uri, "/model-versions/get-artifact", params=query)
    with registry_errors(tracking_uri), request as response:
        if _is_missing(response):
            return
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        with (folder / file).open("wb") as copy:
            copy.writelines(response.iter_content(_CHUNK_BYTES))


@contextmanager
def _request(
    method: str, tracking_uri: str, path: str, **content: Any
) -> Iterator[requests.Response]:
    """Send a request; raises `requests.HTTPError` with the answer's text for a failed one."""
    url = tracking_uri.rstrip("/") + path
    with requests.request(method, url, timeout=TIMEOUT_SECONDS, stream=True, **content) as response:
        if not (response.ok or _is_missing(response)):
            raise requests.HTTPError(f"{response.status_code} {response.text}")
        yield response


def _is_missing(response: requests.Response) -> bool:
    return response.status_code == 404 and _MISSING in response.text
