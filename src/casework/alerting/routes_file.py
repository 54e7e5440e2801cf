"""The file of routes: its shape, and how it is read, with the line of what is wrong.

Secrets need not stand in it: `${NAME}` is a variable of the environment, `${file:PATH}` the content
of a file, whose path may start at the folder of the routes. No error shows what they stand for.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import apprise
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from core.detector.patterns import PATTERNS
from core.severity import Severity, rank

MOST_ROUTES = 20
"""Each route has a thread."""

_MOST_BYTES = 1_000_000
_MOST_PROBLEMS = 5
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_REFERENCE = re.compile(r"\$\{(?:file:([^}]+)|([A-Za-z_][A-Za-z0-9_]*))\}")
_PATTERN_NAMES = {pattern.name for pattern in PATTERNS}


class RoutesFileError(Exception):
    """The file cannot be used; the text says in which lines, and what is wrong there."""


def _duration(value: Any) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
    if found is None:
        raise ValueError("is no duration such as 90s, 30m, 2h or 1d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _clock_time(value: Any) -> time:
    """A time of day; YAML reads 22:30 without quotes as a number of minutes."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    if isinstance(value, str) and re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", value):
        hours, minutes = value.split(":")
        return time(int(hours), int(minutes))
    raise ValueError('is no time of day such as "22:30"')


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except Exception as error:  # it raises four kinds for names that are none
        raise ValueError("is no time zone such as UTC or Europe/Vienna") from error


def _resolved(value: Any, info: ValidationInfo) -> Any:
    """The text with its references replaced; the context has the variables and the folder."""
    context: Any = info.context
    if not isinstance(value, str) or context is None:
        return value

    def replacement(reference: re.Match[str]) -> str:
        path, name = reference.groups()
        if path is None:
            if not (found := context["variables"].get(name)):
                raise ValueError(f"the variable {name} is not set")
            return str(found)
        try:
            return str((context["folder"] / path).read_text().strip())
        except (OSError, ValueError) as error:
            raise ValueError(f"the file {path} cannot be read") from error

    return _REFERENCE.sub(replacement, value)


def _apprise_url(url: SecretStr) -> SecretStr:
    if apprise.Apprise.instantiate(url.get_secret_value()) is None:
        raise ValueError("is no URL that Apprise can use: see https://appriseit.com/services/")
    return url


def _web_url(url: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://[^\s/]+\S*", url.get_secret_value()):
        raise ValueError("is no URL that starts with http:// or https://")
    return url


def _pattern(name: str) -> str:
    if name not in _PATTERN_NAMES:
        raise ValueError(f"is no pattern; there are {', '.join(sorted(_PATTERN_NAMES))}")
    return name


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(le=timedelta(days=7))]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
AppriseUrl = Annotated[SecretStr, BeforeValidator(_resolved), AfterValidator(_apprise_url)]
WebUrl = Annotated[SecretStr, BeforeValidator(_resolved), AfterValidator(_web_url)]
Secret = Annotated[SecretStr, BeforeValidator(_resolved), Field(min_length=16)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class QuietHours(_Part):
    """When a route is not disturbed: from one time of day to another, past midnight too."""

    start: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    zone: Zone = ZoneInfo("UTC")
    critical_passes: bool = False

    @model_validator(mode="after")
    def _some_time_is_left(self) -> "QuietHours":
        if self.start == self.end:
            raise ValueError("from and to are the same time of day")
        return self

    def contains(self, at: datetime) -> bool:
        """Whether it is quiet at a time."""
        clock = at.astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def end_after(self, at: datetime) -> datetime:
        """When the quiet hours that contain a time end."""
        local = at.astimezone(self.zone)
        end = datetime.combine(local.date(), self.end, self.zone)
        return (
            end if end > local else datetime.combine(end + timedelta(days=1), self.end, self.zone)
        )

    def holds(self, severity: Severity, at: datetime) -> bool:
        """Whether an alert of a severity waits if it comes at a time."""
        return self.contains(at) and not (self.critical_passes and severity == "critical")


class SignedWebhook(_Part):
    """A URL to which signed JSON is posted."""

    url: WebUrl
    secret: Secret


class Route(_Part):
    """Who gets what, and when."""

    name: Name
    to: tuple[AppriseUrl, ...] = Field((), max_length=10)
    webhook: SignedWebhook | None = None
    least: Literal["low", "medium", "high", "critical", "never"] = Field("medium", alias="from")
    patterns: tuple[Annotated[str, AfterValidator(_pattern)], ...] = ()
    watch_list: Literal["any", "only", "never"] = "any"
    cool_down: Duration = timedelta(hours=1)
    escalate: bool = False
    quiet_hours: QuietHours | None = None
    per_hour: int = Field(60, ge=1, le=500)

    @model_validator(mode="after")
    def _has_a_receiver(self) -> "Route":
        if bool(self.to) == bool(self.webhook):
            raise ValueError("needs either to (a list of Apprise URLs) or webhook")
        return self

    def takes(self, severity: Severity) -> bool:
        """Whether a flag is severe enough."""
        return self.least != "never" and rank(severity) >= rank(self.least)


class Digest(_Part):
    """When the daily report is sent, and by which routes."""

    at: ClockTime
    zone: Zone = ZoneInfo("UTC")
    to: tuple[Name, ...] = Field(min_length=1)


class Routes(_Part):
    """The whole file."""

    routes: tuple[Route, ...] = Field((), max_length=MOST_ROUTES)
    digest: Digest | None = None

    @model_validator(mode="after")
    def _names_agree(self) -> "Routes":
        names = [route.name for route in self.routes]
        if len(set(names)) < len(names):
            raise ValueError("two routes have one name")
        unknown = set(self.digest.to) - set(names) if self.digest else set()
        if unknown:
            raise ValueError(f"the digest goes to {', '.join(sorted(unknown))}, which is no route")
        return self


NO_ROUTES = Routes()


def read_routes(path: Path, variables: Mapping[str, str]) -> Routes:
    """Read the file; `variables` are what `${NAME}` stands for.

    Raises `RoutesFileError` with every line that is wrong, five at most, and for a file that is not
    there or cannot be read.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise RoutesFileError(f"{path.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise RoutesFileError(f"{path.name}, line {line}: it is no UTF-8 text") from error
    if len(raw) > _MOST_BYTES:
        raise RoutesFileError(f"{path.name} is larger than 1 MB")
    node, content = _parsed(path.name, text)
    if content is None:
        return NO_ROUTES
    context = {"variables": variables, "folder": path.parent}
    try:
        return Routes.model_validate(content, context=context)
    except ValidationError as error:
        problems = [(_line(node, e["loc"]), _words(e)) for e in error.errors(include_url=False)]
        lines = [f"line {line}: {words}" for line, words in sorted(problems)[:_MOST_PROBLEMS]]
        raise RoutesFileError(f"{path.name}, {'; '.join(lines)}") from None


def named_files(path: Path) -> frozenset[Path]:
    """The files that `${file:PATH}` names in a file of routes; none where that cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode(errors="replace")
    except OSError:
        return frozenset()
    return frozenset(path.parent / found[1] for found in _REFERENCE.finditer(text) if found[1])


def _parsed(name: str, text: str) -> tuple[yaml.Node | None, Any]:
    """The YAML nodes, which know their lines, and the content that they stand for."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        for line, key in _repeated_keys(node, set()):
            raise RoutesFileError(f"{name}, line {line}: {key} is there twice")
        return node, loader.construct_document(node)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise RoutesFileError(f"{name}, line {line}: a character that YAML forbids") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f", line {mark.line + 1}" if mark else ""
        raise RoutesFileError(f"{name}{at}: it is no YAML: {error.problem}") from error
    except (ValueError, RecursionError) as error:
        raise RoutesFileError(f"{name}: it is no YAML: {type(error).__name__}") from error


def _repeated_keys(node: yaml.Node, seen: set[int]) -> Iterator[tuple[int, str]]:
    """The keys that a mapping has twice, with their lines; YAML would take the last."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if str(key.value) in keys:
                yield key.start_mark.line + 1, str(key.value)
            keys.add(str(key.value))
            yield from _repeated_keys(value, seen)


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line of a place in the content: of the innermost node on the way to it."""
    line = node.start_mark.line + 1 if node else 1
    for step in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            entry = next(((k, v) for k, v in node.value if k.value == step), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line + 1, entry[1]
    return line


def _words(error: Any) -> str:
    where = ".".join(str(step) for step in error["loc"])
    words = error["msg"].removeprefix("Value error, ")
    return f"{where}: {words}" if where else str(words)
