"""The file of routes: its shape, its secrets, and the line of what is wrong."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casework.alerting.routes_file import (
    NO_ROUTES,
    QuietHours,
    Routes,
    RoutesFileError,
    read_routes,
)
from core.settings import ROOT

SECRETS = {
    "PAGERDUTY_URL": "pagerduty://ABCDEFGHIJ0123456789abcd@ABCDEFGHIJ0123456789abcdefghij12",
    "SLACK_URL": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts",
    "FEE_DESK_SECRET": "a secret of many letters",
    "MAIL_URL": "mailtos://me:password@mail.example.com?from=me@example.com&to=you@example.com",
}
TELEGRAM = "tgram://123456789:AABBCCDDEEFFGGHHIIJJKKLLMMNNOOPPQQR/12345/"
MINIMAL = """\
routes:
  - name: team
    to: ["json://localhost/"]
"""


def read(folder: Path, text: str, **variables: str) -> Routes:
    (folder / "alerts.yml").write_text(text)
    return read_routes(folder / "alerts.yml", variables)


def problem(folder: Path, text: str, **variables: str) -> str:
    with pytest.raises(RoutesFileError) as raised:
        read(folder, text, **variables)
    return str(raised.value)


def test_the_example_is_valid_once_its_secrets_are_there(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "telegram").write_text(f"{TELEGRAM}\n")
    routes = read(tmp_path, (ROOT / "alerts.example.yml").read_text(), **SECRETS)
    on_call, team, watch, fees, report = routes.routes
    assert on_call.escalate and on_call.cool_down == timedelta(hours=4)
    assert team.quiet_hours and team.quiet_hours.start == time(22)
    assert watch.to[0].get_secret_value() == TELEGRAM and watch.watch_list == "only"
    assert fees.webhook and fees.webhook.secret.get_secret_value() == SECRETS["FEE_DESK_SECRET"]
    assert not report.takes("critical") and team.takes("medium") and not team.takes("low")
    assert routes.digest and routes.digest.to == ("report",)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "routes: []\n"])
def test_an_empty_file_has_no_routes(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == NO_ROUTES


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MINIMAL + "    from: high\n    colour: red\n", "line 5: routes.0.colour"),
        (MINIMAL + "    from: terrible\n", "line 4: routes.0.from: Input should be 'low'"),
        (MINIMAL + "    cool_down: 90\n", "line 4: routes.0.cool_down: is no duration"),
        (MINIMAL + "    cool_down: 8d\n", "line 4: routes.0.cool_down"),
        (MINIMAL + "    patterns:\n      - dust\n      - dusty\n", "line 6: routes.0.patterns.1"),
        (MINIMAL + "    per_hour: 0\n", "line 4: routes.0.per_hour"),
        (
            MINIMAL + '    quiet_hours:\n      from: "22:00"\n      to: "25:00"\n',
            "line 6: routes.0.quiet_hours.to: is no time of day",
        ),
        (
            MINIMAL + '    quiet_hours: {from: "1:00", to: "2:00", zone: Mars/Crater}\n',
            "line 4: routes.0.quiet_hours.zone: is no time zone",
        ),
        (
            MINIMAL + '    quiet_hours: {from: "1:00", to: "01:00"}\n',
            "line 4: routes.0.quiet_hours: from and to are the same",
        ),
        (MINIMAL.replace("json://localhost/", "nonsense"), "line 3: routes.0.to.0: is no URL"),
        (MINIMAL.replace("json://localhost/", "${HOOK}"), "line 3: routes.0.to.0: the variable"),
        (MINIMAL.replace("json://localhost/", "${file:none}"), "line 3: routes.0.to.0: the file"),
        (MINIMAL.replace("team", "The Team"), "line 2: routes.0.name"),
        ("routes:\n  - name: a\n", "line 2: routes.0: needs either to"),
        (
            MINIMAL + "    webhook: {url: 'ftp://x', secret: 0123456789abcdef}\n",
            "line 4: routes.0.webhook.url: is no URL that starts with http",
        ),
        (
            "routes:\n  - name: a\n    webhook:\n      url: http://x/\n      secret: short\n",
            "line 5: routes.0.webhook.secret",
        ),
        (MINIMAL + MINIMAL.replace("routes:\n", ""), "line 1: two routes have one name"),
        (MINIMAL + 'digest: {at: "07:00", to: [mail]}\n', "the digest goes to mail"),
        (MINIMAL + "    name: other\n", "line 4: name is there twice"),
        (MINIMAL + "   from: high\n", "line 4: it is no YAML"),
        (MINIMAL + "    from: [high\n", "line 5: it is no YAML"),
        (MINIMAL + "    from: \x07\n", "line 4: a character that YAML forbids"),
        ("- routes\n", "line 1: Input should be"),
        ("a: &a [*a]\n", "line 1: a"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert told in problem(tmp_path, text)


def test_several_faults_are_said_at_once_in_order(tmp_path: Path) -> None:
    text = problem(tmp_path, MINIMAL + "    from: bad\n    cool_down: bad\n    per_hour: bad\n")
    assert [text.index(f"line {n}") for n in (4, 5, 6)] == sorted(
        text.index(f"line {n}") for n in (4, 5, 6)
    )


def test_no_error_and_no_representation_shows_a_secret(tmp_path: Path) -> None:
    hook = "routes:\n  - name: a\n    webhook: {url: '${URL}', secret: '${KEY}'}\n"
    text = problem(tmp_path, hook, URL="gopher://hidden-host/hidden-path", KEY="hidden")
    assert "line 3" in text and "hidden" not in text
    routes = read(tmp_path, hook, URL="http://hidden/hidden", KEY="hidden" * 4)
    assert "hidden" not in repr(routes) and "hidden" not in str(routes)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_bytes(b"routes: []\n# \xff\n")
    with pytest.raises(RoutesFileError, match="line 2: it is no UTF-8"):
        read_routes(tmp_path / "alerts.yml", {})
    with pytest.raises(RoutesFileError, match="cannot be read"):
        read_routes(tmp_path / "none.yml", {})


def test_a_time_without_quotes_is_read_as_it_looks(tmp_path: Path) -> None:
    text = MINIMAL + "    quiet_hours: {from: 22:30, to: 07:00}\n"
    quiet = read(tmp_path, text).routes[0].quiet_hours
    assert quiet and (quiet.start, quiet.end) == (time(22, 30), time(7))


@given(st.text(max_size=200))
def test_whatever_the_text_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "alerts.yml"
    file.write_bytes(text.encode(errors="surrogatepass"))
    try:
        read_routes(file, {})
    except RoutesFileError as error:
        assert str(error).startswith("alerts.yml")


TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0, tzinfo=None))
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@given(TIMES, TIMES, st.sampled_from(["UTC", "Europe/Vienna", "Asia/Kolkata"]), MOMENTS)
def test_quiet_hours_end_where_they_say(start: time, end: time, zone: str, at: datetime) -> None:
    if start == end:
        return
    quiet = QuietHours.model_validate(
        {"from": f"{start:%H:%M}", "to": f"{end:%H:%M}", "zone": zone}
    )
    if quiet.contains(at):
        over = quiet.end_after(at)
        assert at < over <= at + timedelta(hours=25)
        assert over.astimezone(quiet.zone).time() == end
        assert not quiet.holds("critical", over)
