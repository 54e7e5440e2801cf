"""docker-compose itself reads the compose files together, and says what they then publish."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml
from tests.support.processes import missing

from core.settings import ROOT

ADDED = ("cluster", "secure", "oidc")
LOOPBACK = "127.0.0.1"

pytestmark = pytest.mark.slow


def combinations() -> Iterator[tuple[str, ...]]:
    """Every set of files in the order in which they are given; the demo's is the last."""
    for count in range(len(ADDED) + 1):
        for added in itertools.combinations(ADDED, count):
            if "oidc" not in added or "secure" in added:
                yield added
                yield (*added, "demo")


def services(files: tuple[str, ...], **settings: str) -> dict[str, Any]:
    """The services of the files together."""
    found: dict[str, Any] = merged(files, **settings)["services"]
    return found


def merged(files: tuple[str, ...], **settings: str) -> dict[str, Any]:
    """The files together; nothing of this machine's environment reaches them."""
    if shutil.which("docker-compose") is None:
        missing("docker-compose is not installed (Debian: apt-get install docker-compose)")
    names = ["docker-compose.yml", *(f"docker-compose.{name}.yml" for name in files)]
    with tempfile.NamedTemporaryFile(suffix=".env") as nothing:
        command = ["docker-compose", f"--env-file={nothing.name}"]
        done = subprocess.run(
            [*command, *(f"--file={name}" for name in names), "config"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | settings,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout))


@pytest.mark.parametrize("files", list(combinations()), ids=lambda files: "+".join(files) or "base")
def test_the_login_is_the_one_port_that_the_network_reaches(files: tuple[str, ...]) -> None:
    opened = {
        port
        for body in services(files).values()
        for port in body.get("ports", [])
        if not port.startswith(f"{LOOPBACK}:")
    }
    assert opened == ({"0.0.0.0:443:443/tcp"} if "secure" in files else set())


def test_with_the_login_what_has_a_port_waits_until_the_others_are_known_to_be_closed() -> None:
    for name, body in services(("secure",)).items():
        if "ports" in body and name != "door":
            assert body["depends_on"]["door-password"] == {
                "condition": "service_completed_successfully"
            }
    asked = services(("secure",), BIND_ADDRESS="0.0.0.0")["door-password"]
    assert asked["environment"]["BIND_ADDRESS"] == "0.0.0.0"


def test_whoever_is_named_in_the_header_was_named_by_the_login() -> None:
    both = services(("secure",), DOOR_NETWORK="10.9.8")
    login = both["login"]["networks"]["behind"]["ipv4_address"]
    assert login == "10.9.8.2"
    assert both["api"]["environment"]["API_TRUSTED_PROXIES"] == login
    assert both["dashboard"]["environment"]["DASHBOARD_TRUSTED_PROXIES"] == login
    assert both["grafana"]["environment"]["GF_AUTH_PROXY_WHITELIST"] == login


def test_no_other_container_can_be_given_the_address_of_the_login() -> None:
    (pool,) = merged(("secure",))["networks"]["behind"]["ipam"]["config"]
    login = services(("secure",))["login"]["networks"]["behind"]["ipv4_address"]
    assert ip_address(login) in ip_network(pool["subnet"])
    assert ip_address(login) not in ip_network(pool["ip_range"])


def test_the_prometheus_behind_the_login_has_the_options_of_the_other() -> None:
    base, secure = (services(files)["prometheus"]["command"] for files in ((), ("secure",)))
    assert secure[: len(base)] == base


def test_with_a_provider_nobody_passes_by_a_password() -> None:
    mounted = services(("secure", "oidc"))["login"]["volumes"]
    (login,) = [mount for mount in mounted if mount.split(":")[1] == "/etc/nginx/login.conf"]
    assert login.split(":")[0].endswith("door/oidc.conf")
