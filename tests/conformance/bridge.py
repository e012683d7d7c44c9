"""A bridge that is served over HTTP on SQLite, without an Identity Center, for suites to check."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from werkzeug.serving import make_server

from conformance.result import Outcome, Result
from conformance.suites import Suite
from conformance.target import Target
from scim_bridge.directory.database import Database
from scim_bridge.settings import Safety, Settings, Users
from tests.conformance.conftest import Stock
from tests.scim.conftest import serve

RUN = "c0ffee"
UserNames = Literal["allow", "refuse"]


@contextmanager
def bridge(database: Database, *, names: UserNames = "allow") -> Iterator[Target]:
    """A bridge that lets user names change, or refuses that, and protects nobody."""
    settings = replace(Settings(), safety=Safety(protected=()), users=Users(username_changes=names))
    scim = serve(database, settings)
    server = make_server("127.0.0.1", 0, scim.app)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with Target(f"http://127.0.0.1:{server.server_port}/scim/v2", scim.token) as target:
            yield target
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def checked(suite: Suite, target: Target, run: str = RUN) -> list[Result]:
    """What a suite comes to, as often as it said."""
    results = list(suite.run(target, run))
    assert suite.number() == len(results)
    return results


def checked_stock(suite: Suite, stock: Stock, run: str) -> list[Result]:
    """What a suite comes to with a stock server, where nothing is left behind."""
    with Target(stock.url, stock.token) as target:
        results = checked(suite, target, run)
        assert target.clean() == []
    return results


def told(results: list[Result], *outcomes: Outcome) -> dict[str, str]:
    """The checks that ended so, with their reasons."""
    return {one.name: one.reason for one in results if one.outcome in outcomes}


def bad(results: list[Result]) -> dict[str, str]:
    """The checks that failed or warned."""
    return told(results, Outcome.failed, Outcome.warned)
