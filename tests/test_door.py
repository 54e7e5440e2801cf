"""The login of docker-compose.secure.yml lets in who may, says who it is, and slows who guesses."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from tests.support.containers import wait
from tests.support.door import LARGE, PROVIDER, SERVICES, Door, made_password, open_door, prepare

from core.settings import ROOT

pytestmark = pytest.mark.slow

PATHS = {
    "/": ("dashboard", "/"),
    "/address/x?range=1h": ("dashboard", "/address/x?range=1h"),
    "/api/predict?a=b%20c": ("api", "/api/predict?a=b%20c"),
    "/grafana/d/bitcoin-api?x=1": ("grafana", "/d/bitcoin-api?x=1"),
    "/mlflow/ajax-api/2.0/mlflow": ("mlflow", "/ajax-api/2.0/mlflow"),
    "/prometheus/graph": ("prometheus", "/graph"),
}
"""What a browser asks for, and which service gets it under which path."""

ANN = ("ann", "correct horse")
AT_ONCE, WAITING = 4, 10
"""Requests of a stranger that are answered at once, and those that may wait for their turn."""


def hashed(password: str) -> str:
    command = ["openssl", "passwd", "-6", "-stdin"]
    return subprocess.run(command, input=password, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A new one for each test, which has all of a stranger's requests before it."""
    users = tmp_path / "users.htpasswd"
    users.write_text(f"# who may pass\n{ANN[0]}:{hashed(ANN[1])}\n")
    assert prepare(tmp_path, users).returncode == 0
    with open_door(tmp_path) as opened:
        yield opened


def test_without_a_login_only_health_answers(door: Door) -> None:
    health = door.get("/health")
    assert (health.status_code, health.text) == (200, "api")
    ((path, headers),) = door.services["api"].seen
    assert path == "/health"
    assert "x-forwarded-user" not in headers
    assert "set-cookie" not in health.headers
    closed = ["/", "/api/health", "/health/", "/grafana", "/prometheus/metrics"]
    for path in closed:
        refused = door.get(path)
        assert refused.status_code == 401, path
        assert "set-cookie" not in refused.headers, path
    assert not any(s.seen for name, s in door.services.items() if name != "api")


def test_a_right_login_reaches_every_service_under_its_path(door: Door) -> None:
    browser = door.session()
    browser.auth = ANN
    for path, (service, arrived) in PATHS.items():
        answer = browser.get(f"{door.url}{path}", timeout=30)
        assert (answer.status_code, answer.text) == (200, service), path
        assert door.services[service].seen[-1][0] == arrived
    moved = browser.get(f"{door.url}/grafana", timeout=30, allow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (301, "/grafana/")


def test_a_service_sees_who_passed_and_nothing_that_the_browser_claims(door: Door) -> None:
    claims = {"X-Forwarded-User": "mallory", "X-Forwarded-For": "192.0.2.7"}
    claims |= {"X_Forwarded_User": "mallory", "X-API-Key": "a key of the API"}
    assert door.get("/api/x", headers=claims, auth=ANN).status_code == 200
    ((_, seen),) = door.services["api"].seen
    assert seen["x-forwarded-user"] == "ann"
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-api-key"] == "a key of the API"
    assert "mallory" not in seen.values()
    assert "authorization" not in seen


def test_who_guesses_is_refused_then_slowed_then_stopped_and_counted(door: Door) -> None:
    tries = [("ann", "a guess")] * 30 + [ANN] * 10
    with ThreadPoolExecutor(len(tries)) as browsers:
        answers = list(browsers.map(lambda login: door.get("/", auth=login), tries))
    guesses = Counter(answer.status_code for answer in answers[:30])
    assert set(guesses) == {401, 429}
    assert guesses[401] >= AT_ONCE
    late = sorted(answer.elapsed.total_seconds() for answer in answers if answer.status_code == 401)
    assert late[-1] > WAITING / 2, "the last guess waits for its turn"
    right = {answer.status_code for answer in answers[30:]}
    assert 429 in right, "a right password among too many guesses is not tried"
    line = "event=login_refused status=401 address=127.0.0.1 user=ann"
    wait(lambda: door.log.read_text().count(line) == guesses[401], 30, door.log.read_text)
    assert "a guess" not in door.log.read_text()
    assert "GET" not in door.log.read_text()
    metrics = requests.get(door.metrics, timeout=10).text
    assert 'caddy_http_request_duration_seconds_count{code="401"' in metrics
    assert 'caddy_http_request_duration_seconds_count{code="429"' in metrics


def test_who_has_passed_is_not_slowed_and_still_needs_the_password(door: Door) -> None:
    browser = door.session()
    browser.auth = ANN
    first = browser.get(f"{door.url}/", timeout=30)
    assert {"Secure", "HttpOnly", "SameSite=Strict"} <= set(first.headers["set-cookie"].split("; "))
    many = [browser.get(f"{door.url}/", timeout=5).status_code for _ in range(60)]
    assert set(many) == {200}
    browser.auth = None
    assert browser.get(f"{door.url}/", timeout=30).status_code == 401


def test_connections_to_the_api_are_kept(door: Door) -> None:
    program = door.session()
    program.auth = ANN
    for _ in range(20):
        assert program.get(f"{door.url}/api/predict", timeout=30).status_code == 200
    assert door.services["api"].connections <= 2, "one for each of the login's processes"


def open_files(folder: Path) -> Iterator[str]:
    """The files in a folder that any process holds open, those without a name any more too."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if (target := os.readlink(link)).startswith(f"{folder}/"):
                yield target


def test_an_export_that_is_read_slowly_takes_no_space(door: Door, tmp_path: Path) -> None:
    with door.session().get(f"{door.url}/large", auth=ANN, stream=True, timeout=30) as export:
        next(export.iter_content(1024))
        assert list(open_files(tmp_path / "proxy")) == []
        assert sum(map(len, export.iter_content(2**20))) == LARGE - 1024


def test_a_user_who_is_added_may_pass_and_one_who_is_removed_may_not(
    door: Door, tmp_path: Path
) -> None:
    users = tmp_path / "users.htpasswd"
    users.write_text(f"bob:{hashed('another horse')}\n")
    assert prepare(tmp_path, users).returncode == 0
    assert door.get("/", auth=("bob", "another horse")).status_code == 200
    assert door.get("/", auth=ANN).status_code == 401


def test_with_a_provider_only_who_is_logged_in_there_passes_and_is_named(tmp_path: Path) -> None:
    assert prepare(tmp_path).returncode == 0
    with open_door(tmp_path, "oidc.conf") as door:
        claims = {"X-Forwarded-User": "mallory", "X-Auth-Request-Email": "mallory"}
        assert door.get("/health").status_code == 200
        for login in (None, ANN):
            sent_away = door.get("/grafana/?x=1&y=2", headers=claims, auth=login)
            assert sent_away.status_code == 302
            assert sent_away.headers["location"] == "https://provider.example/authorize"
            assert "set-cookie" not in sent_away.headers
            path, seen = door.services[PROVIDER].seen[-1]
            assert path == "/oauth2/start"
            assert seen["x-auth-request-redirect"] == "/grafana/?x=1&y=2"
            assert seen["x-forwarded-host"] == seen["host"] == door.url.removeprefix("https://")
        assert door.get("/oauth2/auth", headers=claims).status_code == 404
        assert "set-cookie" not in door.get("/oauth2/start").headers
        assert not door.services["grafana"].seen
        passed = door.get("/grafana/?x=1", headers=claims, cookies={"session": "ann"})
        assert (passed.status_code, passed.text) == (200, "grafana")
        ((_, seen),) = door.services["grafana"].seen
        assert seen["x-forwarded-user"] == "ann@my.company"


def test_who_posts_without_a_login_is_sent_to_the_provider_as_well(tmp_path: Path) -> None:
    assert prepare(tmp_path).returncode == 0
    with open_door(tmp_path, "oidc.conf") as door:
        address = f"{door.url}/api/predict"
        refused = door.session().post(address, data="{}", timeout=30, allow_redirects=False)
        assert refused.status_code == 302
        assert [path for path, _ in door.services[PROVIDER].seen] == [
            "/oauth2/auth",
            "/oauth2/start",
        ]
        assert not door.services["api"].seen


def test_the_password_is_made_and_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    first, second = prepare(tmp_path), prepare(tmp_path)
    password = made_password(first)
    assert len(password) == 24
    assert second.stdout == ""
    kept = [file.read_text() for file in (tmp_path / "door").iterdir()]
    assert all(password not in text for text in kept)
    grafana = (tmp_path / "grafana" / "password").read_text().strip()
    assert len(grafana) == 24 and grafana != password
    with open_door(tmp_path) as opened:
        assert opened.get("/", auth=("admin", password)).status_code == 200


def test_the_file_of_users_wins_and_a_password_is_made_anew_without_it(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"ann:{hashed('x')}\n")
    kept = tmp_path / "door" / "users"
    assert "admin" in prepare(tmp_path).stdout
    assert prepare(tmp_path, users).stdout == ""
    assert kept.read_text() == users.read_text()
    assert "admin" in prepare(tmp_path).stdout
    assert kept.read_text().startswith("admin:{SHA}")


def test_a_program_gets_a_user_as_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "secure.md").read_text().splitlines()
    first = next(n for n, line in enumerate(page) if line.startswith("    password="))
    recipe = "\n".join([*page[first : first + 2], 'printf %s "$password"'])
    made = subprocess.run(["sh", "-ec", recipe], cwd=tmp_path, capture_output=True, text=True)
    assert prepare(tmp_path, tmp_path / "users.htpasswd").returncode == 0
    with open_door(tmp_path) as opened:
        assert opened.get("/", auth=("scorer", made.stdout)).status_code == 200
        assert opened.get("/", auth=("scorer", "a guess")).status_code == 401


@pytest.mark.parametrize("text", ["ann\n", "ann:plain text\n", ":$6$x$y\n", "# nobody\n", "\n"])
def test_a_file_without_a_user_or_with_a_plain_password_is_refused(
    tmp_path: Path, text: str
) -> None:
    users = tmp_path / "users"
    users.write_text(text)
    refused = prepare(tmp_path, users)
    assert refused.returncode == 1
    assert refused.stderr.startswith("DOOR_USERS_FILE")
    assert not (tmp_path / "door" / "users").exists()


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.7", "::"])
def test_nothing_is_prepared_while_other_ports_would_be_open(tmp_path: Path, address: str) -> None:
    refused = prepare(tmp_path, BIND_ADDRESS=address)
    assert refused.returncode == 1
    assert "BIND_ADDRESS" in refused.stderr
    assert not list((tmp_path / "door").iterdir())


def test_every_service_of_the_login_is_one_of_the_tests() -> None:
    assert {service for service, _ in PATHS.values()} == set(SERVICES)
