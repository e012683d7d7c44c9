"""A server that goes down during a run, or is not there at all: told in one plain sentence each."""

import pytest

from conformance.run import NoServer, check, run
from conformance.suites.filters import Filters
from conformance.suites.sanity import Sanity
from conformance.suites.tester import Tester
from conformance.target import Target
from tests.conformance.conftest import TOKEN, _free_port, broken, discovery
from tests.conformance.test_run import Quiet


def test_a_server_that_goes_down_is_told_in_plain_words():
    """The words of the HTTP library are in no reason, whichever suite it is."""
    with (
        broken(lambda _method, path: discovery(path)) as server,
        Target(server.url, TOKEN) as target,
    ):
        ran = run(target, [Filters(), Tester(), Sanity()], Quiet())

    for suite in ("filters", "tester", "sanity"):
        assert any("the server did not answer (" in one.reason for one in ran.of(suite)), suite
    said = " ".join(one.reason for one in ran.results)
    assert "the server did not answer (Remote end closed connection without response)" in said
    for words in ("Pool(", "Connection aborted", "Disconnected("):
        assert words not in said


def test_a_server_that_is_not_there_is_told_in_plain_words():
    """With the reason that the system gives, and what to look at."""
    url = f"http://127.0.0.1:{_free_port()}/scim"

    with Target(url, TOKEN) as target, pytest.raises(NoServer) as told:
        check(target)

    assert str(told.value).startswith(f"{url} does not answer (Connection refused). Check the add")
