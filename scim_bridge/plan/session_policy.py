"""Which inline policy of a permission set ends the sessions of these people at once?

A session that was begun lives on for as long as the permission set says, up to 12 hours, whatever
became of the user. AWS documents one immediate cut: a Deny for the user's id in the permission
set's inline policy (IAM Identity Center user guide, "Revoke active IAM role sessions created by
permission sets").
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# What tells the bridge's statement from others, which are never touched.
SID = "ScimBridgeSessionCut"
# What one inline policy may hold (IAM Identity Center quotas).
MOST_BYTES = 32_768
MOST_CHARACTERS = 10_240

_VERSION = "2012-10-17"


class UnreadablePolicy(ValueError):
    """The inline policy that stands there is not a policy document: it is left as it is."""


@dataclass(frozen=True, kw_only=True)
class SessionPolicy:
    """An inline policy with the bridge's denial."""

    # None: nothing is left, the permission set needs no inline policy.
    document: str | None
    # Whose sessions it ends, and for whom there was no room.
    placed: tuple[str, ...]
    left_out: tuple[str, ...]


def with_denial(present: str | None, user_ids: Iterable[str]) -> SessionPolicy:
    """The inline policy with a denial for exactly these users, beside what else stands there.

    `user_ids`: in the order in which they are to be placed, as many as fit; the rest is left out.

    Raises `UnreadablePolicy`.
    """
    policy = _read(present)
    others = [one for one in policy["Statement"] if one.get("Sid") != SID]
    wanted = tuple(dict.fromkeys(user_ids))
    placed = wanted[: _room(policy, others, wanted)]
    statements = [*others, *([_denial(placed)] if placed else [])]
    document = _written({**policy, "Statement": statements}) if statements else None
    return SessionPolicy(document=document, placed=placed, left_out=wanted[len(placed) :])


def denied(present: str | None) -> tuple[str, ...]:
    """The users whose sessions an inline policy ends by the bridge's denial.

    Raises `UnreadablePolicy`.
    """
    for one in _read(present)["Statement"]:
        if one.get("Sid") == SID:
            return tuple(one["Condition"]["StringEquals"]["identitystore:UserId"])
    return ()


def _read(present: str | None) -> dict[str, Any]:
    if not present:
        return {"Version": _VERSION, "Statement": []}
    try:
        policy = json.loads(present)
        statements = policy["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadablePolicy("the inline policy is no policy document") from error
    # A policy of one statement may hold it without a list (IAM policy grammar).
    listed = statements if isinstance(statements, list) else [statements]
    if not all(isinstance(one, dict) for one in listed):
        raise UnreadablePolicy("the inline policy is no policy document")
    return {**policy, "Statement": listed}


def _room(policy: dict[str, Any], others: Sequence[Any], wanted: Sequence[str]) -> int:
    """How many of these users fit."""
    low, high = 0, len(wanted)
    while low < high:
        middle = (low + high + 1) // 2
        document = _written({**policy, "Statement": [*others, _denial(wanted[:middle])]})
        if _fits(document):
            low = middle
        else:
            high = middle - 1
    return low


def _fits(document: str) -> bool:
    characters = sum(not letter.isspace() for letter in document)
    return len(document.encode()) <= MOST_BYTES and characters <= MOST_CHARACTERS


def _denial(user_ids: Sequence[str]) -> dict[str, Any]:
    return {
        "Sid": SID,
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {"identitystore:UserId": list(user_ids)}},
    }


def _written(policy: dict[str, Any]) -> str:
    return json.dumps(policy, ensure_ascii=False, separators=(",", ":"))
