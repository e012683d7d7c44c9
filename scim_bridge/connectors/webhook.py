"""How is something posted to an address of the operator's: a notice, or a signed event?"""

import hmac
import json
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import requests

from scim_bridge.connectors.secret import secret
from scim_bridge.errors import NotSent
from scim_bridge.settings import Webhook

# How long the other side may take for a notice, in seconds.
TIMEOUT = 10.0

EVENT_ID = "Scim-Bridge-Event-Id"
TIMESTAMP = "Scim-Bridge-Timestamp"
SIGNATURE = "Scim-Bridge-Signature"


def post(url: str, notice: Mapping[str, Any]) -> None:
    """Post a notice as JSON. TLS is verified and redirects are not followed.

    Raises `NotSent` unless the answer is 2xx. The message does not repeat the address: it may hold
    a secret.
    """
    _posted(requests.post, url, json=notice, timeout=TIMEOUT)


class Receiver:
    """A system that takes signed events. For one thread at a time."""

    def __init__(self, settings: Webhook, *, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self._clock = clock
        self._session = requests.Session()

    def send(self, event: Mapping[str, Any]) -> None:
        """Post an event with its signature. Raises `NotSent` unless the answer is 2xx.

        The signature is an HMAC-SHA256 over the timestamp, a dot and the body, so that an event
        that was caught on its way cannot be sent again later as a new one.
        """
        body = json.dumps(event, separators=(",", ":")).encode()
        timestamp = str(int(self._clock()))
        key = secret(self.settings.secret_env, self.settings.secret_file)
        headers = {
            "Content-Type": "application/json",
            EVENT_ID: str(event["jti"]),
            TIMESTAMP: timestamp,
            SIGNATURE: f"sha256={signature(key, timestamp, body)}",
        }
        _posted(
            self._session.post,
            self.settings.url,
            data=body,
            headers=headers,
            timeout=self.settings.timeout,
        )

    def close(self) -> None:
        self._session.close()

    def check(self) -> None:
        """See that there is a secret, and that somebody answers. Raises `NotSent`."""
        secret(self.settings.secret_env, self.settings.secret_file)
        try:
            self._session.head(
                self.settings.url, timeout=self.settings.timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            raise NotSent(f"the webhook was not reached ({type(error).__name__})") from error


def signature(key: str, timestamp: str, body: bytes) -> str:
    """What a receiver compares with what it got."""
    return hmac.new(key.encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()


def _posted(send: Callable[..., requests.Response], url: str, **content: Any) -> None:
    try:
        answer = send(url, allow_redirects=False, **content)
    except requests.RequestException as error:
        raise NotSent(f"the webhook was not reached ({type(error).__name__})") from error
    if not 200 <= answer.status_code < 300:
        raise NotSent(
            f"the webhook answered {answer.status_code}",
            retry_after=_seconds(answer.headers.get("Retry-After")),
        )


def _seconds(given: str | None) -> float | None:
    return float(given) if given is not None and given.isdecimal() else None
