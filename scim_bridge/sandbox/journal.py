"""Which calls came in, in which order, and how were they answered?

It is not locked; who uses it from several threads must lock.
"""

from collections import Counter, deque
from dataclasses import dataclass

REMEMBERED = 10_000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One call and its answer."""

    time: str
    # As AWS names it.
    operation: str
    status: int
    # Why it was refused, in words that AWS keeps to itself.
    reason: str | None
    # Whether the caller never got the answer.
    dropped: bool
    method: str
    # Below the SCIM endpoint.
    path: str
    # As the caller wrote it.
    query: str
    # What JSON was sent; None where there was none.
    body: object
    content_type: str | None
    auth: str | None
    user_agent: str | None
    request_id: str

    def line(self) -> str:
        """The entry for a person who watches: one line, whatever a caller wrote."""
        query = f"?{self.query}" if self.query else ""
        line = f"{self.time} {self.operation} {self.status} {self.method} {self.path}{query}"
        reason = f" - {self.reason}" if self.reason else ""
        whole = line + reason + (" - the answer is dropped" if self.dropped else "")
        return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in whole)


class Journal:
    """The counts of all calls, and the last of them."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=REMEMBERED)
        self._counts: dict[str, Counter[str]] = {}

    def record(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._counts.setdefault(entry.operation, Counter())[str(entry.status)] += 1

    def calls(self) -> dict[str, dict[str, int]]:
        return {operation: dict(counts) for operation, counts in self._counts.items()}

    def requests(self) -> list[dict[str, object]]:
        return [dict(vars(entry)) for entry in self._entries]

    def clear_counts(self) -> None:
        self._counts.clear()

    def clear(self) -> None:
        self._counts.clear()
        self._entries.clear()
