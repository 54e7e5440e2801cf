"""The door of docker-compose.secure.yml on this machine: the real proxies with the real files."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from local.ports import accepts, free_ports
from tests.support.processes import missing, process, wait_until

from core.settings import ROOT

DOOR = ROOT / "door"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
"""Debian keeps it where only root looks."""

SERVICES = ("dashboard", "api", "grafana", "mlflow", "prometheus")
PROVIDER = "oauth2-proxy"
LARGE = 64 * 2**20
"""Bytes of what every service answers at /large."""


class Service(ThreadingHTTPServer):
    """A service that keeps the headers of what reaches it, by path, and answers with its name."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        super().__init__(("127.0.0.1", 0), _Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_GET(self) -> None:
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.server.seen.append((self.path, headers))
        body = self.server.name.encode() if self.path != "/large" else bytes(LARGE)
        if self.path == "/oauth2/auth" and "session=ann" not in headers.get("cookie", ""):
            self.send_response(401)
        elif self.path == "/oauth2/start":
            self.send_response(302)
            self.send_header("Location", "https://provider.example/authorize")
        else:
            self.send_response(200)
            self.send_header("X-Auth-Request-Email", "ann@my.company")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing: what arrives is in `seen`."""


def prepare(
    folder: Path, users: Path = Path("/dev/null"), **environment: str
) -> subprocess.CompletedProcess[str]:
    """What `door-password` does in Docker, with its results in `folder`."""
    folders = [folder / name for name in ("door", "grafana", "kafka")]
    for each in folders:
        each.mkdir(exist_ok=True)
    return subprocess.run(
        ["sh", str(DOOR / "prepare.sh"), *map(str, folders), str(users)],
        env={"PATH": "/usr/bin:/bin", "API_ADDRESS": "api:5000"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def made_password(prepared: subprocess.CompletedProcess[str]) -> str:
    """The password of `admin` that `prepare` has made, from the line that shows it."""
    return prepared.stdout.split("the password is ")[1].split()[0]


@dataclass
class Door:
    """Where the proxies listen, what they protect, and the log of the login."""

    url: str
    metrics: str
    authority: Path
    log: Path
    services: dict[str, Service] = field(default_factory=dict)

    def get(self, path: str, **options: object) -> requests.Response:
        """Ask as a browser without cookies does; redirects are not followed."""
        return self.session().get(
            f"{self.url}{path}",
            timeout=30,
            allow_redirects=False,
            **options,  # type: ignore[arg-type]
        )

    def session(self) -> requests.Session:
        """A browser that trusts the proxy's own authority."""
        session = requests.Session()
        session.verify = str(self.authority)
        session.trust_env = False
        return session


@contextmanager
def open_door(
    folder: Path, login_file: str = "password.conf", running_at: Mapping[str, int] | None = None
) -> Iterator[Door]:
    """Both proxies before small services, with the users that `prepare` left in `folder`.

    With `oidc.conf` a small service also answers as oauth2-proxy does: it knows ann's session. A
    service of `running_at` listens on that port already.
    """
    for program in (NGINX, "caddy"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed (Debian: apt-get install {program})")
    https, metrics, login, alive = free_ports(4)
    with ExitStack() as stack:
        services = {name: stack.enter_context(Service(name)) for name in (*SERVICES, PROVIDER)}
        for service in services.values():
            stack.callback(service.shutdown)
        ports = {name: service.server_port for name, service in services.items()}
        nginx = _nginx_files(folder, login, alive, ports | dict(running_at or {}))
        _login_file(folder, login_file, services[PROVIDER])
        log = folder / "nginx.log"
        options = "daemon off;"
        if os.geteuid() == 0:  # its workers would be nobody, who may not read the test's folder
            options += " user root;"
        command = [NGINX, "-c", str(nginx), "-p", str(folder), "-g", options]
        running = stack.enter_context(process(command, log))
        wait_until(lambda: accepts(login), running, log)
        caddyfile = folder / "Caddyfile"
        caddyfile.write_text(_caddyfile(https, metrics, login))
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(caddyfile)]
        home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        running = stack.enter_context(process(command, folder / "caddy.log", home))
        authority = folder / "caddy/pki/authorities/local/root.crt"
        wait_until(lambda: accepts(https) and authority.exists(), running, folder / "caddy.log")
        yield Door(
            f"https://localhost:{https}",
            f"http://127.0.0.1:{metrics}/metrics",
            authority,
            log,
            services,
        )


def _nginx_files(folder: Path, login: int, alive: int, ports: Mapping[str, int]) -> Path:
    """The files of the login as in Docker, on free ports and with services on this machine."""
    config = (DOOR / "nginx.conf").read_text()
    config = config.replace("listen 8080;", f"listen 127.0.0.1:{login};")
    config = config.replace("127.0.0.1:8081", f"127.0.0.1:{alive}")
    config = config.replace("/tmp/", f"{folder}/")
    (folder / "nginx.conf").write_text(config)
    for source, name in ((DOOR, "upstreams.conf"), (folder, "door/api.conf")):
        upstreams = (source / name).read_text()
        for service, port in ports.items():
            upstreams = re.sub(rf"\b{service}:\d+", f"127.0.0.1:{port}", upstreams)
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(upstreams)
    return folder / "nginx.conf"


def _login_file(folder: Path, name: str, provider: Service) -> None:
    text = (
        (DOOR / name).read_text().replace(f"{PROVIDER}:4180", f"127.0.0.1:{provider.server_port}")
    )
    (folder / "login.conf").write_text(text)


def _caddyfile(https: int, metrics: int, login: int) -> str:
    text = (DOOR / "Caddyfile").read_text()
    text = text.replace("\tadmin off", f"\tadmin off\n\thttps_port {https}")
    text = text.replace(", :443", f", :{https}").replace("//:9180", f"//127.0.0.1:{metrics}")
    return text.replace("login:8080", f"127.0.0.1:{login}")
