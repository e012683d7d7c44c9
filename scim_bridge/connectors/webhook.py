"""How is a notice posted to an address of the operator's?"""

from collections.abc import Mapping
from typing import Any

import requests

from scim_bridge.errors import NotSent

# How long the other side may take, in seconds.
TIMEOUT = 10.0


def post(url: str, notice: Mapping[str, Any]) -> None:
    """Post a notice as JSON. TLS is verified and redirects are not followed.

    Raises `NotSent` unless the answer is 2xx. The message does not repeat the address: it may hold
    a secret.
    """
    try:
        answer = requests.post(url, json=notice, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise NotSent(f"the webhook was not reached ({type(error).__name__})") from error
    if not 200 <= answer.status_code < 300:
        raise NotSent(f"the webhook answered {answer.status_code}")
