"""The object store that the lake and the casework tables may be on: how delta-rs reaches it.

A URI as `s3://bucket/lake` is on a store with the S3 interface, any other is a path on a disk. On
a store, delta-rs commits with a conditional put (`If-None-Match: *`): of two writers that want
the same version of a table, the store lets one have it. A store that ignores that header must not
be used.
"""

from configparser import ConfigParser
from dataclasses import dataclass

from core.settings import StoreSettings

_SECTION, _KEY, _SECRET = "default", "aws_access_key_id", "aws_secret_access_key"


class CredentialsError(RuntimeError):
    """The file of credentials cannot be used; the message says why."""


@dataclass(frozen=True)
class Credentials:
    """What a request to the store is signed with."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials({self.key!r})"


def on_store(uri: str) -> bool:
    """Whether a table or a folder of tables is on an object store.

    >>> on_store("s3://bucket/lake"), on_store("/data/lake")
    (True, False)
    """
    return "://" in uri


def storage_options(uri: str) -> dict[str, str] | None:
    """The options of delta-rs for a table; None for one on a disk. Raises `CredentialsError`."""
    if not on_store(uri):
        return None
    settings = StoreSettings()
    options = {"aws_region": settings.s3_region, "aws_conditional_put": "etag"}
    if (endpoint := settings.s3_endpoint_url) is not None:
        options |= {
            "aws_endpoint_url": endpoint,
            "aws_allow_http": str(endpoint.startswith("http:")).lower(),
        }
    if (found := credentials(settings)) is not None:
        options |= {_KEY: found.key, _SECRET: found.secret}
    return options


def credentials(settings: StoreSettings) -> Credentials | None:
    """What the file of credentials has; None where it is empty or no file is set.

    Raises `CredentialsError`.
    """
    path = settings.s3_credentials_file
    if path is None:
        return None
    parser = ConfigParser(interpolation=None)
    try:
        if not (text := path.read_text()).strip():
            return None
        parser.read_string(text)
        section = parser[_SECTION]
        return Credentials(section[_KEY], section[_SECRET])
    except (OSError, ValueError, LookupError) as error:
        raise CredentialsError(f"S3_CREDENTIALS_FILE {path} cannot be used: {error}") from error
    except Exception as error:  # what configparser raises may quote the file's lines
        raise CredentialsError(
            f"S3_CREDENTIALS_FILE {path} is no file of sections: {type(error).__name__}"
        ) from None
