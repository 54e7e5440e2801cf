from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends
from fastapi.testclient import TestClient
from pydantic import SecretStr
from tests.support.api_application import FixedFollower, application

from api.callers import Caller, Callers, KeysFileError, may, read_keys
from core.settings import ApiSettings

ALICE, BOT, OLD = "alice-0123456789abcdef", "bot-0123456789abcdef", "old-0123456789abcdef"
KEYS = f"""
[Alice]
key = "{ALICE}"
permissions = ["read", "mark"]

[feeder]
key = "{BOT}"
permissions = ["watch"]
"""


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(KEYS)
    return path


def settings(**values: Any) -> ApiSettings:
    return ApiSettings(_env_file=None, **values)


def client(address: str = "192.0.2.7", **values: Any) -> TestClient:
    app = application(FixedFollower(), settings(**values))

    @app.post("/marked")
    def marked(caller: Annotated[Caller, Depends(may("mark"))], name: str | None = None) -> str:
        return caller.author(name)

    return TestClient(app, client=(address, 50_000))


def post(caller: TestClient, key: str = "", **headers: str) -> tuple[int, str]:
    answer = caller.post("/marked", headers={"X-API-Key": key, **headers})
    body = answer.json()
    return answer.status_code, body if isinstance(body, str) else body["detail"]


def test_a_key_of_the_file_does_what_it_may(keys: Path) -> None:
    caller = client(api_keys_file=keys)
    assert post(caller, ALICE) == (200, "Alice")
    assert post(caller, BOT) == (403, "This key has no permission to mark.")
    assert post(caller, "wrong")[0] == 401
    assert post(caller)[0] == 401


def test_a_key_may_have_letters_beyond_ascii(tmp_path: Path) -> None:
    path, key = tmp_path / "keys.toml", "schlüssel-für-alle-中文"
    path.write_text(f'[bot]\nkey = "{key}"\npermissions = ["mark"]\n')
    caller = client(api_keys_file=path, api_key=SecretStr(f"{key}, der alte"))
    for sent, name in ((key, "bot"), (f"{key}, der alte", "API_KEY")):
        answer = caller.post("/marked", headers={b"X-API-Key": sent.encode()})
        assert (answer.status_code, answer.json()) == (200, name)


def test_reading_is_a_permission_too(keys: Path) -> None:
    caller = client(api_keys_file=keys)
    assert caller.get("/model", headers={"X-API-Key": ALICE}).status_code == 503  # no model
    assert caller.get("/model", headers={"X-API-Key": BOT}).status_code == 403
    assert caller.post("/predict", headers={"X-API-Key": BOT}).status_code == 403
    assert caller.get("/health", headers={"X-API-Key": BOT}).status_code == 200


def test_the_old_key_may_do_everything(keys: Path) -> None:
    caller = client(api_keys_file=keys, api_key=SecretStr(OLD))
    assert post(caller, OLD) == (200, "API_KEY")
    assert post(client(api_key=SecretStr(OLD)), ALICE)[0] == 401


def test_without_keys_everybody_may_and_says_who_it_is() -> None:
    caller = client()
    assert post(caller) == (422, "author: say who does this.")
    assert caller.post("/marked", params={"name": "Bob"}).json() == "Bob"


def test_the_name_in_the_header_of_a_trusted_proxy_counts_more_than_any_other() -> None:
    proxied = {"api_author_header": "X-Forwarded-User", "api_trusted_proxies": "10.0.0.0/8"}
    said = {"X-Forwarded-User": "carol"}
    trusted = client("10.1.2.3", **proxied)
    assert trusted.post("/marked", params={"name": "Bob"}, headers=said).json() == "carol"
    stranger = client("192.0.2.7", **proxied)
    assert stranger.post("/marked", params={"name": "Bob"}, headers=said).json() == "Bob"


@pytest.mark.parametrize(
    ("sent", "person"),
    [("Zoë Müller".encode(), "Zoë Müller"), ("Zoë".encode("latin-1"), "Zoë"), (b"Ann", "Ann")],
)
def test_a_name_is_written_down_as_the_proxy_has_it(sent: bytes, person: str) -> None:
    callers = Callers(settings(api_author_header="User", api_trusted_proxies="10.0.0.1"))
    caller = callers.caller({"headers": [(b"user", sent)], "client": ("10.0.0.1", 1)})
    assert caller is not None
    assert caller.person == person


@pytest.mark.parametrize("claimed", ["", " ", "\x07"])
def test_a_header_without_a_name_names_nobody(claimed: str) -> None:
    callers = Callers(settings(api_author_header="User", api_trusted_proxies="10.0.0.1"))
    scope = {"headers": [(b"user", claimed.encode())], "client": ("10.0.0.1", 1)}
    caller = callers.caller(scope)
    assert caller is not None
    assert caller.person is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[a", "keys.toml"),
        ("# none yet", "no key"),
        ('[a]\nkey = "short"\npermissions = []', "a.key"),
        (f'[a]\nkey = "{ALICE}"\npermissions = ["everything"]', "a.permissions"),
        (f'[a]\nkey = "{ALICE}"\npermissions = []\nadmin = true', "a.admin"),
        (f'[a]\nkey = "{ALICE}"\npermissions = []\n[b]\nkey = "{ALICE}"\npermissions = []', "two"),
    ],
)
def test_a_wrong_file_says_what_is_wrong_and_shows_no_key(
    keys: Path, text: str, reason: str
) -> None:
    keys.write_text(text)
    with pytest.raises(KeysFileError) as caught:
        read_keys(keys)
    assert reason in str(caught.value)
    assert ALICE not in str(caught.value)
    assert "short" not in str(caught.value).replace("too_short", "")


def test_a_file_that_is_missing_and_a_proxy_that_is_no_address_stop_the_start(
    tmp_path: Path,
) -> None:
    with pytest.raises(KeysFileError, match=r"keys\.toml"):
        Callers(settings(api_keys_file=tmp_path / "keys.toml"))
    with pytest.raises(ValueError, match="localhost"):
        Callers(settings(api_trusted_proxies="localhost"))
