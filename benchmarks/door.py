"""`/predict` through the door of docker-compose.secure.yml, against without: Caddy and nginx here.

`python -m benchmarks.door [SECONDS]` loads the real API, with a champion from a real MLflow server,
directly and with TLS and a login, in turns, each for so many seconds (default 4). wrk is needed.
"""

import base64
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.api import Target, in_turns, row_of, transactions
from benchmarks.api_services import ours, tracking
from tests.support.door import Door, made_password, open_door, prepare

ROUNDS, CONNECTIONS = 5, 16
AIM = 0.7


def passed(door: Door, password: str) -> dict[str, str]:
    """The headers of a program that has passed the login once and keeps its cookie."""
    login = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
    answer = door.session().get(f"{door.url}/api/ready", headers={"Authorization": login})
    answer.raise_for_status()
    return {"Authorization": login, "Cookie": answer.headers["Set-Cookie"].split(";")[0]}


def main() -> None:
    """Measure, and print the table."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    content = json.dumps(transactions(1)[0]).encode()
    with tempfile.TemporaryDirectory() as name, tracking(Path(name)) as uri:
        folder = Path(name) / "door"
        folder.mkdir()
        password = made_password(prepare(folder))
        with ours(uri, Path(name), API_ROOT_PATH="/api") as api:
            port = urlsplit(api.url).port
            assert port is not None
            with open_door(folder, running_at={"api": port}) as door:
                headers = passed(door, password)
                behind = Target(replace(api, url=f"{door.url}/api"), "/predict", content, headers)
                direct = Target(api, "/predict", content, headers)
                through, without = in_turns([behind, direct], CONNECTIONS, seconds, ROUNDS)
    row = row_of(f"`/predict`, {CONNECTIONS} connections", through, without, AIM)
    print("| what | through the door | without | ratio | aim |\n|---|---|---|---|---|")
    print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
