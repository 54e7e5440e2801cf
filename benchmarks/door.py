"""`/predict` through the door of docker-compose.secure.yml, against without: Caddy and nginx here.

`python -m benchmarks.door [SECONDS]` loads the real API, with a champion from a real MLflow server,
directly and with TLS and a login, in turns, each for so many seconds (default 4).
"""

import base64
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.api import transactions
from benchmarks.api_services import Service, ours, tracking
from benchmarks.load import Load, load
from tests.support.door import Door, open_door, prepare

ROUNDS, CONNECTIONS = 5, 16
AIM = 0.7


def user(folder: Path) -> str:
    """The header of the user that `prepare` makes, whose password it prints."""
    made: subprocess.CompletedProcess[str] = prepare(folder)
    password = made.stdout.split("the password is ")[1].split()[0]
    return "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()


def passed(door: Door, login: str) -> dict[str, str]:
    """The headers of a program that has passed the login once and keeps its cookie."""
    answer = door.session().get(f"{door.url}/api/ready", headers={"Authorization": login})
    answer.raise_for_status()
    return {"Authorization": login, "Cookie": answer.headers["Set-Cookie"].split(";")[0]}


def in_turns(
    api: Service, door: Door, login: str, seconds: float
) -> tuple[Load, Load, list[float]]:
    """The last load without and with the door, and every ratio of their rates."""
    content, headers = json.dumps(transactions(1)[0]).encode(), passed(door, login)
    ratios = []
    for _ in range(ROUNDS):
        direct = load(f"{api.url}/predict", content, CONNECTIONS, seconds, headers)
        behind = load(f"{door.url}/api/predict", content, CONNECTIONS, seconds, headers)
        assert direct.failed == behind.failed == 0, (direct, behind)
        ratios.append(behind.per_second / direct.per_second)
    return direct, behind, ratios


def main() -> None:
    """Measure, and print the table."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    with tempfile.TemporaryDirectory() as name, tracking(Path(name)) as uri:
        folder = Path(name) / "door"
        folder.mkdir()
        login = user(folder)
        with ours(uri, Path(name), API_ROOT_PATH="/api") as api:
            port = urlsplit(api.url).port
            assert port is not None
            with open_door(folder, running_at={"api": port}) as door:
                direct, behind, ratios = in_turns(api, door, login, seconds)
    cells = [f"`/predict`, {CONNECTIONS} connections"]
    cells += [f"{x.per_second:,.0f}/s, p99 {x.p99 * 1e3:.1f} ms" for x in (direct, behind)]
    cells += [f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", f"{AIM}"]
    print("| what | without the door | through it | ratio | aim |\n|---|---|---|---:|---|")
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
