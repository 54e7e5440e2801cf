"""Sends one test alert through every route of the file, and says what became of each.

`python -m casework.alerting.try_routes` reads the file of routes as the service does. It touches
neither the outbox nor the service, and asks for no cool-down or quiet hours. The exit code is 0
only if every receiver has accepted its message.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime

from casework.alerting.alert_text import trial_message
from casework.alerting.receivers import NotDeliveredError, receivers_of
from casework.alerting.route_sender import Connect
from casework.alerting.routes_file import RoutesFileError, read_routes
from core.settings import AlertSettings, variables


def try_routes(
    settings: AlertSettings, say: Callable[[str], object], connect: Connect = receivers_of
) -> bool:
    """Try every route, `say` what happened, and return whether all went well."""
    file = settings.alerts_file
    if not file.exists():
        say(f"There is no {file}: copy alerts.example.yml and say who is told of what.")
        return False
    try:
        routes = read_routes(file, variables()).routes
    except RoutesFileError as error:
        say(str(error))
        return False
    if not routes:
        say(f"{file} has no routes.")
        return False
    well = True
    for route in routes:
        message = trial_message(route.name, datetime.now(UTC), settings.dashboard)
        for number, receiver in enumerate(connect(route), 1):
            try:
                receiver(message)
            except NotDeliveredError as error:
                well = False
                say(f"{route.name}, receiver {number}: FAILED: {error}")
            else:
                say(f"{route.name}, receiver {number}: accepted")
    return well


if __name__ == "__main__":
    sys.exit(0 if try_routes(AlertSettings(), print) else 1)
