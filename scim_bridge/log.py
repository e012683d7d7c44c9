"""What does the bridge say about its own running, and to whom?

One line an event on stderr, as text or JSON, from structlog and from the standard library's
loggers alike. A line never holds a secret: what looks like one is masked, and tracebacks come
without the values of variables.
"""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import Processor

from scim_bridge.settings import Log

MASK = "***"
# Libraries that tell more at their info level than an operator wants to know.
_CHATTY = ("alembic", "botocore", "urllib3")
_SECRET_KEY = re.compile(r"authorization|password|secret|token$|credential", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"scb_[A-Za-z0-9_-]{43}|(?<=Bearer )\S+")


class _Lines(logging.Handler):
    """Writes to whatever stderr is when there is something to say."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:
            # A log that cannot be written must not fail what it tells about.
            self.handleError(record)


def configure(settings: Log) -> None:
    """Log to stderr from now on, in the form and from the level that is set."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_common(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_rendering(settings),
        ],
    )
    handler = _Lines()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    # Only the bridge's own handler is replaced: others belong to whoever runs the bridge.
    root.handlers = [*(one for one in root.handlers if not isinstance(one, _Lines)), handler]
    root.setLevel(settings.level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


@contextmanager
def bound(*, request_id: str, **facts: str) -> Iterator[None]:
    """Put the request's id, and what else is told, on every line of this context."""
    with structlog.contextvars.bound_contextvars(request_id=request_id, **facts):
        yield


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # As text, by the standard library: structlog's own traceback would show local variables.
        structlog.processors.format_exc_info,
        _without_secrets,
    ]


def _rendering(settings: Log) -> list[Processor]:
    if settings.format == "json":
        return [structlog.processors.JSONRenderer(default=str)]
    return [
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _without_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _masked(key, value)
    return event


def _masked(key: str, value: Any) -> Any:
    if _SECRET_KEY.search(key) and value is not None:
        return MASK
    return _SECRET_VALUE.sub(MASK, value) if isinstance(value, str) else value
