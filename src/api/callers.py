"""Who is asking, and what they may do: by their key, and by the name that a trusted proxy gives.

Without any key everybody may do everything, as on a machine of one's own. With `API_KEY` or a file
of keys, a request needs one of them, except on the open paths. A key of the file has a name and
some of the permissions `read`, `mark` and `watch`:

    [alice]
    key = "at least sixteen characters"
    permissions = ["read", "mark"]
"""

import tomllib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.types import Scope

from core.proxy_names import MAX_AUTHOR, ProxyNames
from core.settings import ApiSettings

Permission = Literal["read", "mark", "watch"]
"""To score and read; to mark transactions and work on cases; to change the watch list."""

PERMISSIONS: frozenset[Permission] = frozenset(("read", "mark", "watch"))

Author = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_AUTHOR,
        pattern=r"^[^\p{C}]+$",
        description="Who does this; by default the name that the proxy or the key gives",
    ),
]

API_KEY_HEADER = "X-API-Key"
_CALLER = "caller"


class Caller(NamedTuple):
    """A caller's permissions, the name of the key (None where none is needed), and the person.

    `person` is the name in the proxy's header, where that is trusted.
    """

    permissions: frozenset[Permission]
    key_name: str | None = None
    person: str | None = None

    def author(self, given: str | None) -> str:
        """The name to write down: the proxy's, else the one given, else the key's.

        Raises `HTTPException` 422 where there is none.
        """
        name = self.person or given or self.key_name
        if name is None:
            raise HTTPException(422, "author: say who does this.")
        return name


class KeysFileError(ValueError):
    """The file of keys cannot be used; the message says what is wrong with which key."""


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(min_length=16)]
    permissions: list[Permission]


_KEYS = TypeAdapter(dict[Author, _Key])


def read_keys(path: Path) -> dict[bytes, Caller]:
    """The callers of a file of keys, by their key's digest; raises `KeysFileError`."""
    try:
        keys = _KEYS.validate_python(tomllib.loads(path.read_text()))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise KeysFileError(f"{path}: {'; '.join(faults)}") from None  # the input has the keys
    except (OSError, ValueError) as error:
        raise KeysFileError(f"{path}: {error}") from None
    if not keys:  # with none, everybody might do everything
        raise KeysFileError(f"{path}: it has no key")
    callers = {_digest(_bytes(k.key)): Caller(frozenset(k.permissions), n) for n, k in keys.items()}
    if len(callers) < len(keys):
        raise KeysFileError(f"{path}: two names have the same key")
    return callers


class Callers:
    """Finds the caller of each request.

    Keys are looked up by digest, so that the time of an answer says nothing about them. Raises
    `KeysFileError`, and `ValueError` for a trusted proxy that is no address or network.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._keys: dict[bytes, Caller] = {}
        file = settings.api_keys_file
        if file is not None and not file.is_char_device():  # Docker mounts /dev/null for no file
            self._keys |= read_keys(file)
        if settings.api_key is not None:
            everything = Caller(PERMISSIONS, "API_KEY")
            self._keys[_digest(_bytes(settings.api_key.get_secret_value()))] = everything
        self._names = ProxyNames(settings.api_author_header, settings.api_trusted_proxies)

    @property
    def key_needed(self) -> bool:
        """Whether a request needs a key."""
        return bool(self._keys)

    def caller(self, scope: Scope) -> Caller | None:
        """The caller of a request; None where its key is missing or wrong."""
        headers = Headers(scope=scope)
        found: Caller | None = Caller(PERMISSIONS)
        if self.key_needed:
            # Starlette reads the bytes of a header as Latin-1; a key in them is UTF-8.
            found = self._keys.get(_digest(headers.get(API_KEY_HEADER, "").encode("latin-1")))
        if found is None:
            return None
        client = scope.get("client")
        said = headers.get(self._names.header, "")
        return found._replace(person=self._names.name(said, client[0] if client else None))


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _digest(key: bytes) -> bytes:
    return sha256(key).digest()


def set_caller(scope: Scope, caller: Caller) -> None:
    """Note the caller for the request's route."""
    scope.setdefault("state", {})[_CALLER] = caller


def may(permission: Permission) -> Callable[[Request], Caller]:
    """A dependency of a route: the caller, if that has the permission.

    It raises `HTTPException` 403 otherwise.
    """

    def caller(request: Request) -> Caller:
        found: Caller = request.scope.get("state", {}).get(_CALLER, Caller(PERMISSIONS))
        if permission not in found.permissions:
            raise HTTPException(403, f"This key has no permission to {permission}.")
        return found

    caller.permission = permission  # type: ignore[attr-defined]  # the documentation names it
    return caller
