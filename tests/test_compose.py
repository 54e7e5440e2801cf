"""The compose files and Dockerfiles keep their promises; an engine is not needed to see it."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.callers import Callers
from core.settings import ROOT, ApiSettings, render

FILES = [
    "docker-compose.yml",
    "docker-compose.demo.yml",
    "docker-compose.cluster.yml",
    "docker-compose.scale.yml",
    "docker-compose.secure.yml",
    "docker-compose.oidc.yml",
]
SCALE = "docker-compose.scale.yml"
COMBINATIONS = [
    FILES[:1],
    [FILES[0], FILES[1]],
    [FILES[0], FILES[2]],
    [FILES[0], FILES[2], FILES[1]],
    [FILES[0], FILES[3]],
    [FILES[0], FILES[2], FILES[3]],
    [FILES[0], FILES[2], FILES[3], FILES[1]],
]
DOCKERFILES = sorted(ROOT.glob("Dockerfile.*"))
OURS = "${IMAGE_PREFIX:-bitcoin-anomaly-detection}/"
ONE_SHOT = {"kafka-agent", "maintenance", "door-password"}
UNASKED = {"spark-master", "spark-worker", "store", "mlflow-database", "login", "oauth2-proxy"}
PUBLISHED = {"api", "dashboard", "mlflow", "prometheus", "grafana", "simulator"}

# Docker's own: folders, addresses and ports inside its network, a file of the host's
INSIDE = {"DATA_DIR", "SPARK_JARS_DIR", "SIMULATOR_REPLAY"}
INSIDE |= {"API_URL", "KAFKA_BOOTSTRAP_SERVERS", "MLFLOW_TRACKING_URI"}
INSIDE |= {f"DASHBOARD_{name}_URL" for name in ("PRODUCER", "STREAM", "TRAINER", "CASEWORK")}
INSIDE |= {"DASHBOARD_GRAFANA_URL"}
INSIDE |= {
    f"{name}_METRICS_PORT" for name in ("KAFKA", "PRODUCER", "STREAM", "TRAINER", "CASEWORK")
}
INSIDE |= {"KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "SPARK_UI_PORT"}
INSIDE |= {"KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME"}
INSIDE |= {"KAFKA_SASL_PASSWORD_FILE"}  # docker-compose.secure.yml has them for its own broker
INSIDE |= {"ALERTS_FILE"}  # in the mounted folder alerts
INSIDE |= {"PORT_OFFSET"}  # only what compose publishes on the host may move: the *_PORT settings

# docker-compose 1.29.2 refuses these, wherever they stand
NOT_IN_1_29 = {"develop", "start_interval", "include", "additional_contexts"}
# Compose v2 warns of these or refuses them
NOT_IN_V2 = {"version", "links", "external_links", "volumes_from", "volume_driver", "log_driver"}


def load(name: str) -> dict[str, Any]:
    text = (ROOT / name).read_text()
    return dict(yaml.safe_load(text))


def own_services() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every service where it is defined, not where a later file only adds to it."""
    seen: set[str] = set()
    for name in FILES:
        yield from ((s, b) for s, b in load(name)["services"].items() if s not in seen)
        seen |= set(load(name)["services"])


SERVICES = dict(own_services())
StartGrafana = Callable[..., subprocess.CompletedProcess[str]]


def keys(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from keys(value)
    elif isinstance(node, list):
        for value in node:
            yield from keys(value)


@pytest.mark.parametrize("name", FILES)
def test_only_what_both_composes_know_is_used(name: str) -> None:
    content = load(name)
    assert set(content) - {k for k in content if k.startswith("x-")} <= {
        "services",
        "networks",
        "volumes",
    }
    assert not set(keys(content)) & (NOT_IN_1_29 | NOT_IN_V2)


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_whole_by_itself(name: str) -> None:
    content = load(name)
    volumes = set(content["volumes"])
    for service, body in content["services"].items():
        assert body["image"] == SERVICES[service]["image"]
        wanted = body.get("depends_on", {})
        assert set(wanted) <= set(content["services"])
        assert all(set(how) == {"condition"} for how in wanted.values())
        assert set(body.get("networks", [])) <= set(content["networks"])
        mounted = {mount.split(":")[0] for mount in body.get("volumes", [])}
        assert {m for m in mounted if m[0] not in "./$"} <= volumes


def test_in_the_demo_every_service_works_on_the_demos_data() -> None:
    """The last file's volumes win, so the demo's comes last and names each that holds data."""
    base, demo, cluster, scale, *doors = (load(name)["volumes"] for name in FILES)
    lasting = {name: body for name, body in base.items() if body}
    assert all(body == {"name": f"bitcoin-live-{name}"} for name, body in lasting.items())
    assert demo == {name: {"name": f"bitcoin-demo-{name}"} for name in lasting}
    assert {name: lasting[name] for name in cluster} == cluster
    assert set(scale.values()) == {None}, "named by the project: two projects share nothing"
    assert not set().union(scale, *doors) & lasting.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_confined(service: str) -> None:
    body = SERVICES[service]
    assert body["read_only"] is True
    assert body["cap_drop"] == ["ALL"]
    assert body.get("cap_add", []) == (["NET_BIND_SERVICE"] if service == "door" else [])
    assert body["security_opt"] == ["no-new-privileges:true"]
    assert body["pids_limit"] > 0
    assert body["mem_limit"]
    assert body["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert "privileged" not in body
    if service != "mlflow-database":  # its image would begin as root, with rights that are dropped
        assert "user" not in body, "the image names its user"


@pytest.mark.parametrize("service", sorted(set(SERVICES) - ONE_SHOT))
def test_every_lasting_service_is_restarted_and_most_show_their_health(service: str) -> None:
    body = SERVICES[service]
    assert body["restart"] == "unless-stopped"
    # the master knows whether a worker lives, and oauth2-proxy's image has nothing to ask it with
    if service not in {"spark-worker", "oauth2-proxy"}:
        check = body["healthcheck"]
        assert {"test", "interval", "timeout", "retries", "start_period"} == set(check)


@pytest.mark.parametrize("files", COMBINATIONS, ids=lambda files: "+".join(f[15:-4] for f in files))
def test_every_combination_is_read_by_the_older_compose(files: list[str]) -> None:
    """`docker-compose` merges them as Docker would be given them; no engine is asked."""
    if (compose := shutil.which("docker-compose")) is None:
        pytest.skip("docker-compose is not installed")
    chosen = [word for name in files for word in ("-f", name)]
    origin = {"DATA_ORIGIN": "simulated"} if FILES[1] in files else {}
    asked = subprocess.run(
        [compose, *chosen, "config"],
        cwd=ROOT,
        env=os.environ | origin,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert asked.returncode == 0, asked.stderr
    merged = yaml.safe_load(asked.stdout)["services"]
    origins = {body.get("environment", {}).get("DATA_ORIGIN") for body in merged.values()}
    assert origins - {None} == {"simulated" if FILES[1] in files else "live"}
    if SCALE in files:
        check_scale(merged)


def check_scale(services: dict[str, Any]) -> None:
    """Who uses the lake uses the store, who uses Kafka all brokers, and no folder twice."""
    for name in ("spark", "trainer", "api", "api-replica", "casework", "dashboard"):
        environment = services[name]["environment"]
        assert environment["LAKE_URI"] == "s3://bitcoin/lake"
        assert environment["CASEWORK_URI"] == "s3://bitcoin/casework"
        assert environment["S3_ENDPOINT_URL"] == "http://store:7070"
        assert environment["S3_CREDENTIALS_FILE"] == "/run/s3-credentials"
        assert any(":/run/s3-credentials:ro" in each for each in services[name]["volumes"]), name
    for name in ("producer", "spark", "casework"):
        environment = services[name]["environment"]
        assert environment["KAFKA_BOOTSTRAP_SERVERS"].count(",") == 2
        assert environment["KAFKA_REPLICATION"] == "3"
    brokers = [services[name] for name in ("kafka", "kafka-2", "kafka-3")]
    assert [each["environment"]["NODE"] for each in brokers] == ["1", "2", "3"]
    logs = {each for body in brokers for each in body["volumes"] if "/var/lib/kafka/data" in each}
    assert len(logs) == 3, "each broker has its own log, none that of a single broker"


def test_over_a_store_every_user_of_the_tables_knows_where_they_are() -> None:
    """A service that does not would work on the empty folders of its container."""
    base, scale = load("docker-compose.yml")["services"], load(SCALE)["services"]
    store = {"LAKE_URI": "${LAKE_URI:-s3://bitcoin/lake}"}
    store |= {"CASEWORK_URI": "${CASEWORK_URI:-s3://bitcoin/casework}"}
    for name, body in base.items():
        if "LAKE_URI" in body.get("environment", {}):
            assert store.items() <= scale[name]["environment"].items(), name


def test_every_process_of_the_api_has_the_same_settings() -> None:
    """They answer to one name, so each must answer as the others do."""
    base, more = load("docker-compose.yml")["services"]["api"], SERVICES["api-replica"]
    first = load(SCALE)["services"]["api"]
    assert more["image"] == base["image"]
    assert more["networks"] == first["networks"] == {"inside": {"aliases": ["api-all"]}}
    assert load(SCALE)["services"]["dashboard"]["environment"]["API_URL"] == "http://api-all:5000"
    origin = {"DATA_ORIGIN": "${DATA_ORIGIN:-live}"}
    assert more["environment"] == base["environment"] | first["environment"] | origin


@pytest.mark.parametrize("service", ["spark", "trainer", "casework", "api", "dashboard"])
def test_who_asks_the_lake_has_it_and_only_the_stream_may_write(service: str) -> None:
    mode = "" if service == "spark" else ":ro"
    assert f"lake:/data/lake{mode}" in SERVICES[service]["volumes"]


def test_the_maintenance_starts_only_when_asked_and_has_all_data_where_the_services_have_it() -> (
    None
):
    body = SERVICES["maintenance"]
    assert body["profiles"] == ["maintenance"]
    kept = {name for name, volume in load(FILES[0])["volumes"].items() if volume}
    kept -= {"kafka", "prometheus"}
    assert set(body["volumes"]) == {f"{name}:/data/{name}" for name in kept}
    others = [
        m for name, b in SERVICES.items() if name != "maintenance" for m in b.get("volumes", [])
    ]
    assert set(body["volumes"]) <= set(others)


def test_only_what_is_meant_for_people_is_published_and_on_the_loopback() -> None:
    published = {name: body["ports"] for name, body in SERVICES.items() if "ports" in body}
    assert published.pop("door") == ["${HTTPS_ADDRESS:-0.0.0.0}:${HTTPS_PORT:-443}:443"]
    assert set(published) == PUBLISHED
    for ports in published.values():
        assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in ports)


def test_images_that_are_not_ours_are_pinned() -> None:
    foreign = {b["image"] for b in SERVICES.values() if not b["image"].startswith(OURS)}
    assert foreign == {
        *("apache/kafka:4.3.1", "prom/prometheus:v3.14.0", "grafana/grafana:13.2.0"),
        *("versity/versitygw:v1.7.0", "postgres:17.6-bookworm"),
        *("caddy:2.11.9-alpine", "nginxinc/nginx-unprivileged:1.30.4-alpine"),
        "quay.io/oauth2-proxy/oauth2-proxy:v7.15.6",
    }


def test_every_image_of_ours_is_built_here_unless_a_release_is_asked_for() -> None:
    ours = {b["image"]: b for b in SERVICES.values() if b["image"].startswith(OURS)}
    assert len(ours) == len(DOCKERFILES)
    for image, body in ours.items():
        name = re.fullmatch(rf"{re.escape(OURS)}(\w+):\$\{{IMAGE_TAG:-latest\}}", image)
        assert name, image
        assert body["build"] == {"context": ".", "dockerfile": f"Dockerfile.{name[1]}"}


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_a_setting_of_the_example_with_its_default(name: str) -> None:
    example = dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", render(), re.MULTILINE))
    used = re.findall(r"\$\{([A-Z0-9_]+):-([^}]*)\}", (ROOT / name).read_text())
    assert {variable for variable, _ in used} <= set(example)
    other = {"REQUEST_INTERVAL_SECONDS"} if "demo" in name else set()  # asks its own simulator
    # something is mounted where there is no file
    other |= {"API_KEYS_FILE", "DOOR_USERS_FILE", "OIDC_CLIENT_SECRET_FILE"}
    other |= {"S3_CREDENTIALS_FILE", "MLFLOW_DATABASE_PASSWORD_FILE"}
    if name == SCALE:  # what it brings is used unless another is named
        other |= {"LAKE_URI", "CASEWORK_URI", "S3_ENDPOINT_URL"}
        other |= {"MLFLOW_DATABASE_URL", "MLFLOW_ARTIFACTS_URI"}
    different = {
        variable: (default, example[variable])
        for variable, default in used
        if variable not in other and not same(default, example[variable])
    }
    assert not different


def test_every_setting_can_be_given_to_the_services_that_have_it() -> None:
    text = "".join((ROOT / name).read_text() for name in FILES)
    given = set(re.findall(r"^      ([A-Z0-9_]+):$|\$\{([A-Z0-9_]+):-", text, re.MULTILINE))
    named = set(re.findall(r"^#([A-Z0-9_]+)=", render(), re.MULTILINE))
    assert named - {name for pair in given for name in pair} == INSIDE


def test_the_file_of_keys_is_mounted_where_the_api_reads_it() -> None:
    api = SERVICES["api"]
    inside = api["environment"]["API_KEYS_FILE"]
    assert f"${{API_KEYS_FILE:-/dev/null}}:{inside}:ro" in api["volumes"]
    assert not Callers(ApiSettings(_env_file=None, api_keys_file=Path("/dev/null"))).key_needed


@pytest.fixture
def start_grafana(tmp_path: Path) -> StartGrafana:
    """Runs Grafana's start; what it gives to `grafana cli` is then in the file `reset`."""
    (tmp_path / "bin").mkdir()
    cli = tmp_path / "bin" / "grafana"
    cli.write_text(
        f"#!/bin/sh\nread -r password\n[ ${{#password}} -ge 4 ] || exit 1\n"
        f'echo "$* $password" > {tmp_path}/reset\n'
    )
    cli.chmod(0o755)

    def start(**settings: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "reset").unlink(missing_ok=True)
        paths = {f"GF_PATHS_{name}": str(tmp_path) for name in ("DATA", "HOME", "CONFIG")}
        path = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
        return subprocess.run(
            [
                "sh",
                str(ROOT / "grafana" / "start.sh"),
                "sh",
                "-c",
                "echo $GF_SECURITY_ADMIN_PASSWORD",
            ],
            env=paths | path | settings,
            capture_output=True,
            text=True,
            timeout=30,
        )

    return start


def test_a_new_grafana_has_the_password_of_the_setting(start_grafana: StartGrafana) -> None:
    assert start_grafana().stdout == "admin\n"
    assert start_grafana(GRAFANA_ADMIN_PASSWORD="").stdout == "admin\n"
    assert start_grafana(GRAFANA_ADMIN_PASSWORD="a 'new' $one").stdout == "a 'new' $one\n"


def test_an_existing_grafana_is_given_the_password_at_every_start(
    start_grafana: StartGrafana, tmp_path: Path
) -> None:
    (tmp_path / "grafana.db").write_text("a database")
    for password in ("first secret", "second secret"):
        assert start_grafana(GRAFANA_ADMIN_PASSWORD=password).returncode == 0
        arguments = (tmp_path / "reset").read_text()
        assert arguments.endswith(f"admin reset-admin-password --password-from-stdin {password}\n")
    assert start_grafana().returncode == 0
    assert not (tmp_path / "reset").exists(), "unset, the password stays as it is"
    refused = start_grafana(GRAFANA_ADMIN_PASSWORD="abc")
    assert refused.returncode == 1
    assert "GRAFANA_ADMIN_PASSWORD could not be set" in refused.stderr


def test_a_password_in_a_file_is_used_where_the_setting_is_empty(
    start_grafana: StartGrafana, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("from a file\n")
    given = {"GRAFANA_ADMIN_PASSWORD_FILE": str(file)}
    assert start_grafana(**given).stdout == "from a file\n"
    assert start_grafana(**given, GRAFANA_ADMIN_PASSWORD="a setting").stdout == "a setting\n"
    (tmp_path / "grafana.db").write_text("a database")
    assert start_grafana(**given).returncode == 0
    assert (tmp_path / "reset").read_text().endswith("--password-from-stdin from a file\n")


@pytest.mark.parametrize(
    "opened",
    [
        {"BIND_ADDRESS": "0.0.0.0"},
        {"BIND_ADDRESS": "192.168.1.7"},
        {"BIND_ADDRESS": "::"},
        {"GF_SERVER_ROOT_URL": "https://my.host/grafana/"},
        {"GF_SERVER_ROOT_URL": "http://localhost.my.host/"},
    ],
)
def test_a_grafana_that_is_opened_refuses_the_password_admin(
    start_grafana: StartGrafana, opened: dict[str, str]
) -> None:
    for password in ({}, {"GRAFANA_ADMIN_PASSWORD": "admin"}, {"GRAFANA_ADMIN_PASSWORD": ""}):
        refused = start_grafana(**opened, **password)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.endswith("opens it to the network: set GRAFANA_ADMIN_PASSWORD.\n")
    assert start_grafana(**opened, GRAFANA_ADMIN_PASSWORD="secret").returncode == 0


@pytest.mark.parametrize(
    "closed", [{"BIND_ADDRESS": "127.0.0.1"}, {"GF_SERVER_ROOT_URL": "http://localhost:3001/"}]
)
def test_a_grafana_that_is_not_opened_starts_as_before(
    start_grafana: StartGrafana, closed: dict[str, str]
) -> None:
    assert start_grafana(**closed).returncode == 0


def test_grafana_starts_by_the_script_that_sets_its_password() -> None:
    grafana = SERVICES["grafana"]
    assert grafana["entrypoint"] == ["sh", "/start.sh", "/run.sh"]
    assert "./grafana/start.sh:/start.sh:ro" in grafana["volumes"]
    assert {"BIND_ADDRESS", "GRAFANA_ADMIN_PASSWORD"} <= set(grafana["environment"])
    assert "GF_SECURITY_ADMIN_PASSWORD" not in grafana["environment"]


def test_the_link_to_mlflow_follows_its_published_port() -> None:
    environment = SERVICES["dashboard"]["environment"]
    assert environment["MLFLOW_TRACKING_URI"] == ""
    assert environment["MLFLOW_PORT"] is None and environment["DASHBOARD_MLFLOW_URL"] is None


def same(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.name)
def test_an_image_is_pinned_unprivileged_and_needs_no_buildkit(path: Any) -> None:
    text = path.read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert set(bases) <= {"python:3.11-slim-bookworm", "java"}
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert re.search(r'^CMD \["', text, re.MULTILINE), "exec form, so that SIGTERM arrives"
    assert "STOPSIGNAL SIGTERM" in text
    assert "org.opencontainers.image.title" in text
    assert not re.search(r"--mount|<<|COPY --link|^# syntax", text, re.MULTILINE)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.name)
def test_an_image_installs_the_lock(path: Any) -> None:
    service = path.suffix[1:]
    first, second = (ROOT / f"requirements.{service}.txt").read_text().splitlines()[:2]
    assert (first, second) == ("-e .", "-c constraints.txt")
    assert f"COPY constraints.txt requirements.{service}.txt" in path.read_text()


def test_prometheus_asks_every_lasting_service_by_its_name() -> None:
    jobs = load("prometheus.yml")["scrape_configs"]
    asked = {
        target.split(":")[0]
        for job in jobs
        for group in job.get("static_configs", [])
        for target in group["targets"]
    } | {name for job in jobs for found in job.get("dns_sd_configs", []) for name in found["names"]}
    assert asked == set(SERVICES) - ONE_SHOT - UNASKED
