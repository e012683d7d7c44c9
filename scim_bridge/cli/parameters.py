"""Which kinds of value do options take, beyond click's own?"""

import time
from datetime import UTC, datetime
from typing import Any

import click

from scim_bridge.settings.kinds import period


class Period(click.ParamType[float]):
    """A length of time with its unit, such as 12h, or 0; in seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        seconds = 0.0 if value == "0" else period(value)
        if seconds is None:
            self.fail(f"{value!r} is not a time with its unit, such as 30m, 12h or 2d.", param, ctx)
        return seconds


class PointInTime(click.ParamType[float]):
    """2026-11-24, 2026-11-24T08:30, with a zone or in UTC; or 2h, 7d: so long ago.

    In seconds since 1970.
    """

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        if (ago := period(value)) is not None:
            return time.time() - ago
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a time such as 2026-11-24T08:30 nor 2h or 7d.")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
