"""Who has to be told something is told once, and once more when it is over."""

import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from scim_bridge.scim.credentials import add, rotate
from scim_bridge.settings import Alerts as AlertSettings
from scim_bridge.sync.alerts import (
    LOOK_EVERY,
    TRY_AGAIN_AFTER,
    Alerts,
    Cause,
    causes,
    ending_tokens,
)
from scim_bridge.sync.overview import HeldSet, Overview

QUIET = Overview(
    states={}, oldest_pending=None, overdue=0, held_sets=(), door=None, last_error=None, pause=None
)
HELD = Cause(id="held:3f9a1c20", text="the brake holds losses of 12 people")


class Hook:
    """An address that notices are posted to. `status` is what it answers."""

    def __init__(self) -> None:
        self.notices: list[dict[str, str]] = []
        self.status = 204
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.status == 204:
                    hook.notices.append(json.loads(body))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def hook():
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever, args=(0.01,))
    thread.start()
    yield hook
    hook.server.shutdown()
    thread.join()
    hook.server.server_close()


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def alerts_of(database, hook, standing, clock) -> Alerts:
    return Alerts(
        database, AlertSettings(webhook_url=hook.url), lambda: list(standing), clock=clock
    )


def test_a_cause_is_told_once_and_once_more_when_it_is_over(database, hook):
    """However often it is looked, and whichever process looks."""
    standing, clock = [HELD], Clock()
    processes = [alerts_of(database, hook, standing, clock) for _ in range(2)]
    for _ in range(3):
        for alerts in processes:
            alerts.keep_up()
        clock.time += LOOK_EVERY
    assert [(one["event"], one["cause"]) for one in hook.notices] == [("alert", HELD.id)]

    standing.clear()
    for alerts in processes:
        alerts.keep_up()

    assert [one["event"] for one in hook.notices] == ["alert", "over"]


def test_what_could_not_be_sent_is_sent_later(database, hook):
    """An address that is down loses no alert, and is not asked all the time."""
    clock = Clock()
    alerts = alerts_of(database, hook, [HELD], clock)
    hook.status = 500
    alerts.keep_up()
    hook.status = 204
    clock.time += LOOK_EVERY
    alerts.keep_up()
    assert hook.notices == []

    clock.time += TRY_AGAIN_AFTER
    alerts.keep_up()

    assert [one["cause"] for one in hook.notices] == [HELD.id]


def test_what_needs_a_person_is_a_cause():
    """Failed, held, overdue and stale; nothing else is."""
    held = HeldSet(id="3f9a1c20", category="disable", people=12, age=60.0)
    present = Overview(
        states={"failed": 2, "pending": 5},
        oldest_pending=9.0,
        overdue=1,
        held_sets=(held,),
        door=None,
        last_error=None,
        pause=None,
    )

    found = {cause.id: cause.text for cause in causes(present, stale=["groups"])}

    assert set(found) == {"failed", "held:3f9a1c20", "overdue", "stale:groups"}
    assert "scim-bridge sync --approve 3f9a1c20" in found["held:3f9a1c20"]
    assert list(causes(QUIET)) == []


def test_a_token_is_told_of_before_it_ends(database):
    """Each Identity Center's, and the last one of a client: an overlap is no reason to worry."""
    add(database, "okta", expires_days=10)
    add(database, "hr", expires_days=10)
    rotate(database, "hr", overlap=3600.0, expires_days=365)
    add(database, "endless")

    ends = {"identity-center": "2026-12-01", "mills": "2026-12-02", "ships": None}
    found = [cause.id for cause in ending_tokens(database, ends, today=date(2026, 11, 24))]

    assert found[:2] == ["token:identity-center:2026-12-01", "token:mills:2026-12-02"]
    assert [one.split(":")[2] for one in found[2:]] == ["okta"]
    later = {"identity-center": "2027-12-01"}
    assert not list(ending_tokens(database, later, today=date(2026, 11, 24)))[1:]
