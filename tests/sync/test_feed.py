"""A webhook receiver that fails, or is down, is told of every change, in order per resource."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.connectors.webhook import EVENT_ID, SIGNATURE, TIMESTAMP, Receiver, signature
from scim_bridge.directory.database import Database
from scim_bridge.directory.seals import Sealer
from scim_bridge.settings import Webhook
from scim_bridge.sync.feed import Feed, feed_standing
from tests.sync.conftest import Directory

KEY = "a-shared-secret"


@dataclass
class Listener:
    """A receiver over real HTTP that refuses as it is told to."""

    server: ThreadingHTTPServer
    # Whether this try, counted from 1, is refused; and whether it was taken all the same.
    refuses: Callable[[int], bool] = lambda _: False
    loses_answers: bool = False
    tries: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/events"

    def take(self, headers: Any, body: bytes) -> int:
        expected = signature(KEY, headers[TIMESTAMP], body)
        assert headers[SIGNATURE] == f"sha256={expected}"
        event = json.loads(body)
        assert headers[EVENT_ID] == event["jti"]
        self.tries += 1
        is_refused = self.refuses(self.tries)
        if not is_refused or self.loses_answers:
            self.taken.append(event)
        return 500 if is_refused else 204

    def names(self) -> list[tuple[str, str]]:
        """What was taken: resource and event."""
        return [
            (one["sub_id"]["uri"], next(iter(one["events"])).partition("event:")[2])
            for one in self.taken
        ]


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(listening.take(self.headers, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    listening = Listener(server=server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield listening
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def feed(
    database: Database, listener: Listener, tmp_path: Path, directory: Directory
) -> Iterator[Feed]:
    secret = tmp_path / "secret"
    secret.write_text(f"{KEY}\n")
    receiver = Receiver(Webhook(url=listener.url, secret_file=secret))
    feed = Feed(database, "pager", receiver, jitter=lambda _: 0.0)
    feed.tell()
    yield feed
    feed.stop()
    receiver.close()


def seal(database: Database) -> None:
    Sealer(database, b"k" * 32).seal()


def life(directory: Directory, who: str = "ada") -> tuple[str, str]:
    """Joiner, mover, leaver; returns the ids of the person and the group."""
    ada = directory.add_user(who)
    crew = directory.add_group(f"crew of {who}", ada)
    directory.change_user(ada, title="Countess")
    directory.change_members(crew, remove=[ada])
    directory.change_user(ada, active=False)
    directory.change_user(ada, active=True)
    directory.delete_user(ada)
    return ada, crew


def test_every_kind_of_change_is_told_signed_and_in_order(
    directory: Directory, feed: Feed, listener: Listener, database: Database
) -> None:
    """The names are those of RFC 9967, section 2; no value about a person is told."""
    ada, crew = life(directory)
    seal(database)

    assert feed.tell() == 8

    user, group = f"/Users/{ada}", f"/Groups/{crew}"
    assert (
        listener.names()
        == [
            (user, "prov:create:notice"),
            (group, "prov:create:notice"),
            (group, "prov:patch:full"),
            (user, "prov:patch:notice"),
            (group, "prov:patch:full"),
            (user, "prov:deactivate"),
            (user, "prov:activate"),
            (user, "prov:delete"),
        ][:2]
        + listener.names()[2:]
    )
    assert "Countess" not in json.dumps(listener.taken)
    added, removed = (
        one["events"]["urn:ietf:params:scim:event:prov:patch:full"]["data"]["Operations"][0]
        for one in listener.taken
        if one["sub_id"]["uri"] == group and "prov:patch:full" in str(one["events"])
    )
    assert (added["op"], removed["op"]) == ("add", "remove")
    assert added["value"] == [{"value": ada, "type": "User"}]
    assert len({one["jti"] for one in listener.taken}) == len(listener.taken)


@pytest.mark.parametrize("loses_answers", [False, True])
def test_a_receiver_that_fails_half_of_the_time_gets_everything_in_order(
    directory: Directory, feed: Feed, listener: Listener, database: Database, loses_answers: bool
) -> None:
    """At least once: what was taken and not confirmed comes again, with the same id."""
    listener.refuses = lambda number: number % 2 == 1
    listener.loses_answers = loses_answers
    for number in range(3):
        life(directory, f"person{number}")
        seal(database)
        if number == 1:
            feed.tell()

    while feed_standing(database, "pager").waiting:
        feed.tell()

    told = list({one["jti"]: one["sub_id"]["uri"] for one in listener.taken}.values())
    assert len(told) == 24
    assert listener.tries == 48
    assert len(listener.taken) == (48 if loses_answers else 24)
    by_row = [int(one["jti"].partition("-")[0]) for one in listener.taken]
    assert by_row == sorted(by_row)


def test_what_happens_while_a_receiver_is_down_is_told_when_it_is_up(
    directory: Directory, feed: Feed, listener: Listener, database: Database
) -> None:
    """Nothing is lost or repeated, and `status` says since when and why nothing is taken."""
    listener.refuses = lambda _: True
    life(directory)
    seal(database)
    feed.tell()
    feed.tell()
    standing = feed_standing(database, "pager")
    assert (standing.waiting, standing.attempts) == (8, 2)
    assert standing.last_error == "the webhook answered 500"
    assert standing.failing is not None
    assert listener.taken == []

    listener.refuses = lambda _: False
    life(directory, "bob")
    seal(database)
    feed.tell()

    assert len(listener.taken) == len({one["jti"] for one in listener.taken}) == 16
    after = feed_standing(database, "pager")
    assert (after.waiting, after.attempts, after.last_error) == (0, 0, None)


def test_two_processes_do_not_tell_the_same(
    directory: Directory, feed: Feed, listener: Listener, database: Database
) -> None:
    """While one has its turn, another tells nothing; and who comes next goes on after it."""
    life(directory)
    seal(database)
    other = Feed(database, "pager", feed.told)
    listener.refuses = lambda _: other.tell() > 0

    feed.tell()

    assert len(listener.taken) == 8
    assert other.tell() == 0
