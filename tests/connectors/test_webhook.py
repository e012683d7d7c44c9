"""A notice reaches the operator's address, or the failure says why."""

import pytest
import requests
import responses

from scim_bridge.connectors.webhook import post
from scim_bridge.errors import NotSent

URL = "https://hooks.example.com/secret-in-path"


@responses.activate
def test_a_notice_is_posted_as_json():
    """The whole notice is the body."""
    hook = responses.post(URL, status=204)

    post(URL, {"text": "something is held"})

    assert hook.calls[0].request.body == b'{"text": "something is held"}'


@pytest.mark.parametrize(
    "answer", [{"status": 500}, {"status": 302}, {"body": requests.ConnectionError()}]
)
@responses.activate
def test_a_notice_that_was_not_taken_is_told_without_the_address(answer):
    """A redirect is no success; the address may hold a secret and is not repeated."""
    responses.post(URL, **answer)

    with pytest.raises(NotSent, match="webhook") as told:
        post(URL, {"text": "something is held"})

    assert "secret-in-path" not in str(told.value)
