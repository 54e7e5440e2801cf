"""What a caller may ask of the lists of scored transactions, under the dashboard's names.

The query of the page's URL is one of these lists' too, but for `order` and `axis`: these are always
the newest first. A parameter that does not exist is refused, since a filter with a wrong name would
let everything pass.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.cursors import MAX_CURSOR
from api.routes.anomalies import FIRST_TIME, LAST_TIME, refuse_bare_number
from core.row_filters import CUSTOM, RowFilters, sql_text
from core.transaction import COIN, COINBASE_SQL, MAX_COUNT, MAX_MONEY, TransactionSource

MAX_PAGE = 1_000
"""Rows of a page in JSON."""

DEFAULT_PAGE = 100

MAX_DOWNLOAD = 100_000
"""Rows of one answer in CSV or Parquet."""

_MAX_NUMBER = 1e15

Time = Annotated[AwareDatetime, BeforeValidator(refuse_bare_number)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[Decimal, Field(ge=0, le=MAX_MONEY // COIN, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=0, le=_MAX_NUMBER, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]


def _describe(words: str) -> str:
    return f"{words}; by default no bound"


PATTERNS: Any = Field(
    None,
    pattern=r"^[a-z0-9_]{1,40}(,[a-z0-9_]{1,40}){0,49}$",
    description="Known shapes of which it has one, with commas; `none` is without any",
    examples=["fee_overpaid,dust_fan_out"],
)
FLAGGED_BY: Any = Field(
    None,
    pattern=r"^(model|rule|both)(,(model|rule|both)){0,2}$",
    description="Only what was flagged by one of these, with commas: model, rule, both",
    examples=["rule,both"],
)


class RowQuery(BaseModel):
    """Filters, and which part of the list; amounts in BTC as in the dashboard's URL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    range: Literal["15m", "1h", "6h", "24h", "7d", "custom"] | None = Field(
        None, description="Event times up to now; by default all, or from `start` to `end`"
    )
    start: Time | None = Field(None, description="Earliest event time, ISO 8601 with its offset")
    end: Time | None = Field(None, description="Latest event time, as `start`")
    threshold: Share | None = Field(
        None,
        description="Flag all by this threshold; by default each by that of its model's version",
    )
    score_min: Share | None = Field(None, description=_describe("Least anomaly score"))
    score_max: Share | None = Field(None, description=_describe("Largest anomaly score"))
    margin_min: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description=_describe("Least score above the threshold of its model's version")
    )
    value_min: Amount | None = Field(None, description=_describe("Least value paid, in BTC"))
    value_max: Amount | None = Field(None, description=_describe("Largest value paid, in BTC"))
    fee_rate_min: Number | None = Field(None, description=_describe("Least fee rate, in sat/vB"))
    fee_rate_max: Number | None = Field(None, description=_describe("Largest fee rate, in sat/vB"))
    times_min: Number | None = Field(
        None, description=_describe("Least fee rate in multiples of the market's")
    )
    times_max: Number | None = Field(
        None, description=_describe("Largest fee rate in multiples of the market's")
    )
    inputs_min: Count | None = Field(None, description=_describe("Fewest inputs"))
    inputs_max: Count | None = Field(None, description=_describe("Most inputs"))
    outputs_min: Count | None = Field(None, description=_describe("Fewest outputs"))
    outputs_max: Count | None = Field(None, description=_describe("Most outputs"))
    pattern: str | None = PATTERNS
    flagged_by: str | None = FLAGGED_BY
    hash: str | None = Field(
        None, pattern=r"^[0-9a-fA-F]{1,64}$", description="What the hash begins with"
    )
    model_version: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]{1,40}$",
        description="Version of the model that scored; `rules` where there was none",
    )
    source: TransactionSource | None = Field(
        None, description="Where it was seen first; by default in either"
    )
    coinbase: bool | None = Field(
        None, description="True: only what creates coins; false: only payments; by default both"
    )
    format: Literal["json", "csv", "parquet"] | None = Field(
        None, description="Form of the answer; by default what the header Accept asks for, or JSON"
    )
    limit: Annotated[int, Field(ge=1, le=MAX_DOWNLOAD)] | None = Field(
        None,
        description=f"Most rows. In JSON at most {MAX_PAGE:,}, by default {DEFAULT_PAGE}; in CSV"
        f" and Parquet at most {MAX_DOWNLOAD:,}, which is the default",
    )
    cursor: str | None = Field(
        None,
        max_length=MAX_CURSOR,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Where the page begins: `next` of the page before, with the same filters",
    )

    @model_validator(mode="after")
    def _can_pass(self) -> "RowQuery":
        """Refuse what nothing can pass, and two ranges at once."""
        for name in ("score", "value", "fee_rate", "times", "inputs", "outputs"):
            least, most = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            if least is not None and most is not None and least > most:
                raise _fault(f"{name}_min is above {name}_max")
        if self.start and self.end and self.end <= self.start:
            raise _fault("end is not after start")
        if self.range not in (None, CUSTOM) and (self.start or self.end):
            raise _fault("range ends now, so start and end cannot be given too")
        return self

    @property
    def only_flagged(self) -> bool:
        """Whether the list is of flagged transactions alone."""
        return True

    @property
    def filters(self) -> RowFilters:
        """The filters as the dashboard has them."""
        return RowFilters(
            range=self.range or CUSTOM,
            threshold=self.threshold,
            value_min=_satoshi(self.value_min),
            value_max=_satoshi(self.value_max),
            fee_rate_min=self.fee_rate_min,
            fee_rate_max=self.fee_rate_max,
            times_min=self.times_min,
            times_max=self.times_max,
            inputs_min=self.inputs_min,
            inputs_max=self.inputs_max,
            outputs_min=self.outputs_min,
            outputs_max=self.outputs_max,
            pattern=split_names(self.pattern),
            flagged=self.only_flagged,
            flagged_by=split_names(self.flagged_by),
            hash=(self.hash or "").lower(),
        )

    @property
    def condition(self) -> str:
        """The filters that the dashboard does not have, as SQL."""
        conditions = [
            f"anomaly_score >= {self.score_min!r}" if self.score_min is not None else "",
            f"anomaly_score <= {self.score_max!r}" if self.score_max is not None else "",
            f"anomaly_score - threshold >= {self.margin_min!r}"
            if self.margin_min is not None
            else "",
            f"model_version = {sql_text(self.model_version)}" if self.model_version else "",
            f"source = {sql_text(self.source)}" if self.source else "",
            f"{'' if self.coinbase else 'NOT '}{COINBASE_SQL}" if self.coinbase is not None else "",
        ]
        return " AND ".join(filter(None, conditions)) or "TRUE"

    @property
    def question(self) -> str:
        """The filters as one text: a cursor is of one question."""
        left_out = {"format", "limit", "cursor"}
        return type(self).__name__ + self.model_dump_json(exclude=left_out, exclude_none=True)

    def interval(self, now: datetime) -> tuple[datetime, datetime]:
        """First and last event time, both included."""
        if self.range not in (None, CUSTOM):
            return self.filters.interval(now)
        return _within(self.start or FIRST_TIME), _within(self.end or LAST_TIME)


class TransactionQuery(RowQuery):
    """The same of all scored transactions."""

    flagged: bool = Field(False, description="Only what was flagged")

    @property
    def only_flagged(self) -> bool:
        """Whether the list is of flagged transactions alone."""
        return self.flagged or self.flagged_by is not None


def _fault(words: str) -> PydanticCustomError:
    return PydanticCustomError("nothing_passes", f"{words}: nothing passes")


def _satoshi(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount * COIN)


def split_names(text: str | None) -> tuple[str, ...]:
    """The names of a list with commas, each once; none without a text."""
    return tuple(sorted(set(text.split(",")))) if text else ()


def _within(time: datetime) -> datetime:
    return min(max(time, FIRST_TIME), LAST_TIME).astimezone(UTC)
