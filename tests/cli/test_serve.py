"""`scim-bridge serve`: a bridge as a process, from its first line to its end."""

import os
import re
import signal
import socket
import threading
from contextlib import ExitStack

import pytest
import requests

from scim_bridge.directory.database import Database
from tests.cli.operation import (
    ENTERPRISE,
    answers,
    free_port,
    in_front_of,
    is_running,
    person,
    replacing,
    running,
    serving,
    until,
)

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def _members(*operations):
    return {"schemas": [PATCH], "Operations": list(operations)}


@pytest.mark.parametrize("auth", ["sigv4", "bearer"])
def test_a_working_life_arrives_step_by_step(auth, run, server, sandbox, folder):
    """Create, rename, move, deactivate, reactivate, delete and rehire, over plain HTTP.

    After each step, once nothing is pending, Identity Center holds what design section 3 says.
    """

    def settle():
        run("status", "--wait", "60")

    with serving(in_front_of(server, folder, auth=auth)) as served:
        sent = served.sent
        jane = sent("POST", "/Users", person("jane@example.com"))["id"]
        old = sent("POST", "/Groups", {"schemas": [GROUP], "displayName": "old",
                                       "members": [{"value": jane}]})["id"]  # fmt: skip
        new = sent("POST", "/Groups", {"schemas": [GROUP], "displayName": "new"})["id"]
        settle()
        account = sandbox.user("jane@example.com")["id"]
        assert sandbox.user("jane@example.com")["active"] is True
        assert sandbox.members("old") == {"jane@example.com"}

        sent("PATCH", f"/Users/{jane}", replacing(displayName="Jane B."))
        settle()
        assert sandbox.user("jane@example.com")["displayName"] == "Jane B."

        sent("PATCH", f"/Users/{jane}", replacing(**{f"{ENTERPRISE}:department": "Sales"}))
        leave = {"op": "remove", "path": f'members[value eq "{jane}"]'}
        sent("PATCH", f"/Groups/{old}", _members(leave))
        join = {"op": "add", "path": "members", "value": [{"value": jane}]}
        sent("PATCH", f"/Groups/{new}", _members(join))
        settle()
        assert sandbox.user("jane@example.com")[ENTERPRISE]["department"] == "Sales"
        assert (sandbox.members("old"), sandbox.members("new")) == (set(), {"jane@example.com"})

        sent("PATCH", f"/Users/{jane}", replacing(active=False))
        settle()
        assert sandbox.user("jane@example.com")["active"] is False
        assert sandbox.members("new") == set()

        sent("PATCH", f"/Users/{jane}", replacing(active=True))
        settle()
        assert sandbox.user("jane@example.com")["active"] is True
        assert sandbox.members("new") == {"jane@example.com"}

        sent("DELETE", f"/Users/{jane}")
        settle()
        assert served.send("GET", f"/Users/{jane}").status_code == 404
        assert sandbox.user("jane@example.com")["active"] is False
        assert sandbox.members("new") == set()

        again = sent("POST", "/Users", person("jane@example.com"))["id"]
        settle()
        assert again != jane
        assert sandbox.user("jane@example.com")["active"] is True
        assert sandbox.user("jane@example.com")["id"] == account
        assert sandbox.members("new") == set()


@pytest.mark.parametrize("auth", ["sigv4", "bearer"])
def test_credentials_that_aws_refuses_are_no_fault_of_the_client(
    auth, run, json_of, server, sandbox, folder
):
    """While AWS refuses the key or token, a leaver is taken in with 2xx and the cause is told.

    Nothing is failed, and once it is mended the leaver is disabled (design, section 4).
    """
    file = in_front_of(server, folder, auth=auth)
    with serving(file) as served:
        jane = served.sent("POST", "/Users", person("jane@example.com"))["id"]
        until(lambda: json_of("status")["pending"] == 0)
        sandbox.behave(secret_key="another", bearer_token="another")
        served.sent("PATCH", f"/Users/{jane}", replacing(active=False))

        # Within the request, unless the machine is so slow that the wait was over before.
        until(lambda: json_of("status")["circuit"] == "open")
        now = json_of("status")
        assert (now["pending"], now["failed"], now["circuit"]) == (1, 0, "open")
        assert now["cause"]
        assert now["waiting"][0]["revoking"] is True
        ready = requests.get(f"{served.url}/readyz", timeout=10)
        assert ready.status_code == 200
        # The door of the assignments is another one, which may be found closed before or after.
        assert now["cause"] in ready.json()["causes"]
        assert now["cause"] in run("doctor", expect=1).stdout

    sandbox.behave(secret_key="sandbox-secret", bearer_token="sandbox-token")
    run("sync")
    assert sandbox.user("jane@example.com")["active"] is False


def test_its_first_line_says_where_everything_is(server, folder):
    """Where it listens, the SCIM address clients are given, Identity Center, and what is next."""
    more = '[server]\npublic_url = "https://scim.example.com"\n'
    file = in_front_of(server, folder)
    file.write_text(file.read_text().replace("[server]\n", more))
    port = free_port()

    with running(folder, "--config", str(file), "serve", "--port", str(port)) as bridge:
        until(lambda: answers(f"http://127.0.0.1:{port}"), within=60)
        said = bridge.said()

    assert (
        f"Listening at http://127.0.0.1:{port} - SCIM: https://scim.example.com/scim/v2 - " in said
    )
    assert server.scim_endpoint in said
    assert f"`scim-bridge --config {file} client add NAME` makes one" in said


def test_a_request_under_way_is_answered_before_the_end(server, sandbox, folder):
    """SIGTERM lets what is under way end, and leaves no process and exit code 0.

    A connection that is kept alive and idle is closed, and nobody new is kept waiting for the end:
    who comes while it stops is refused at once, and can go to another bridge.
    """
    answered = []
    with serving(in_front_of(server, folder)) as served, requests.Session() as idle:
        idle.get(f"{served.url}/healthz", timeout=10)
        family = served.family()
        sandbox.fault("CreateUser", delay=5.0, times=1)
        client = threading.Thread(
            target=lambda: answered.append(
                served.send("POST", "/Users", person("jane@example.com")).status_code
            )
        )
        client.start()
        # What is committed is on its way to Identity Center, where it takes its time.
        until(lambda: served.sent("GET", "/Users")["totalResults"] == 1)

        served.process.send_signal(signal.SIGTERM)
        until(lambda: _is_refused(served.url), within=4)
        assert not answered, "whoever came was only refused when all had ended"
        assert served.process.wait(timeout=60) == 0
        client.join()

    # The database is one file again: whoever copies it has all of it.
    assert sorted(file.suffix for file in folder.glob("bridge.db-*")) == []
    assert answered == [201]
    assert sandbox.user("jane@example.com") is not None
    assert len(family) >= 4
    assert not any(map(is_running, family))
    assert "error" not in served.said()


def test_no_process_outlives_one_that_was_killed(server, sandbox, folder):
    """kill -9 of the first process ends all others at once, and a new start is not in their way."""
    file = in_front_of(server, folder)
    with serving(file) as served:
        family = served.family()
        served.process.kill()
        served.process.wait()

        until(lambda: not any(map(is_running, family)), within=30)

        with serving(file, token=served.token) as again:
            again.sent("POST", "/Users", person("jane@example.com"))

    assert sandbox.user("jane@example.com")["active"] is True


def test_deliveries_are_started_again(run, server, sandbox, folder):
    """If the process that delivers is lost, another takes its place, and the loss is logged."""
    with serving(in_front_of(server, folder, more="[delivery]\nwait = 0\n")) as served:
        workers = _children(served, of=served.process.pid)
        deliveries = next(pid for pid in workers if not _children(served, of=pid))
        os.kill(deliveries, signal.SIGKILL)

        served.sent("POST", "/Users", person("jane@example.com"))
        run("status", "--wait", "60")

        assert sandbox.user("jane@example.com") is not None
        assert "deliveries ended and are started again" in served.said()


def test_processes_add_up_their_counts_where_metrics_are_served_apart(server, folder):
    """[server] metrics_listen shows the requests of all processes; clients see no metrics."""
    metrics = f"127.0.0.1:{free_port()}"
    file = in_front_of(server, folder)
    file.write_text(
        file.read_text().replace("[server]\n", f'[server]\nmetrics_listen = "{metrics}"\n')
    )
    with serving(file, "--processes", "2") as served:
        for _ in range(20):
            served.sent("GET", "/Users")

        def counted():
            page = requests.get(f"http://{metrics}/metrics", timeout=10).text
            found = re.findall(r'scim_bridge_requests_total{method="GET",status="200"} (\d+)', page)
            return sum(map(int, found)) >= 20

        until(counted)
        assert requests.get(f"{served.url}/metrics", timeout=10).status_code == 404


def test_what_is_no_request_is_a_scim_error(server, folder):
    """Errors are never HTML, also for what the HTTP server itself refuses (RFC 7644, 3.12)."""
    with serving(in_front_of(server, folder)) as served:
        terms = " or ".join(f'userName eq "user{n}"' for n in range(10_000))
        too_long = served.send("GET", "/Users", params={"filter": terms})
        too_large = requests.post(
            f"{served.url}/scim/v2/Users",
            data=b"x" * 5_000_000,
            headers={
                "Authorization": f"Bearer {served.token}",
                "Content-Type": "application/scim+json",
            },
            timeout=30,
        )
        with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))) as raw:
            raw.sendall(b"this is not HTTP\r\n\r\n")
            nonsense = raw.makefile("rb").read()

    assert (too_long.status_code, too_long.json()["schemas"]) == (414, [ERROR])
    assert "/.search" in too_long.json()["detail"]
    assert (too_large.status_code, too_large.json()["schemas"]) == (413, [ERROR])
    assert nonsense.startswith(b"HTTP/1.1 400 ")
    assert ERROR.encode() in nonsense


def test_more_connections_than_threads_are_all_answered(server, folder):
    """A thread that waits for the next request of one connection is there for all others, too."""
    file = in_front_of(server, folder)
    file.write_text(file.read_text().replace("[server]\n", "[server]\nthreads = 2\n"))
    with serving(file) as served, ExitStack() as stack:
        clients = [stack.enter_context(requests.Session()) for _ in range(6)]
        for client in clients * 3:
            assert client.get(f"{served.url}/healthz", timeout=10).ok
        # Two that were sent at once, the second of which nobody has to wait for.
        port = int(served.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as both:
            both.sendall(b"GET /healthz HTTP/1.1\r\nHost: bridge\r\n\r\n" * 2)
            answer = b""
            while answer.count(b"HTTP/1.1 200 OK") < 2:
                answer += both.recv(65536)


def test_an_older_schema_is_refused_with_the_remedy(run, server, folder):
    """A database of another version is not served, and not changed."""
    in_front_of(server, folder)
    run("db", "upgrade")
    database = Database(f"sqlite:///{folder}/bridge.db")
    with database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    database.close()

    assert "scim-bridge db upgrade" in run("serve", expect=1).stderr


def test_an_address_that_is_taken_is_told(server, folder):
    """The remedy is named, without a traceback."""
    file = in_front_of(server, folder)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        with running(folder, "--config", str(file), "serve", "--port", port) as bridge:
            assert bridge.process.wait(timeout=60) == 1

    assert "choose another --host or --port" in bridge.said()
    assert "Traceback" not in bridge.said()


def test_settings_without_an_identity_center_are_told(run, folder):
    """Nothing is started that could not deliver."""
    assert "identity_center" in run("serve", expect=1).stderr


@pytest.mark.parametrize("wait", ["0", "5"])
def test_nothing_that_was_answered_is_lost_by_a_crash(wait, run, server, sandbox, folder):
    """kill -9 in the middle of 200 creates: each one answered is there after a restart, once."""
    more = f"[delivery]\nwait = {wait}\n"
    file = in_front_of(server, folder, more=more)
    file.write_text(file.read_text().replace("[identity_center]", "[identity_center]\ntimeout = 1"))
    answered: list[str] = []
    with serving(file) as served:
        names = [f"p{number}@example.com" for number in range(200)]
        clients = [
            threading.Thread(target=_create, args=(served, names[start::4], answered))
            for start in range(4)
        ]
        for client in clients:
            client.start()
        until(lambda: len(answered) >= 60, within=60)
        served.process.kill()
        for client in clients:
            client.join()
        served.process.wait()
        before = sorted(answered)
        assert 60 <= len(before) < 200

        with serving(file, token=served.token) as again:
            run("status", "--wait", "40")
            listed = again.sent("GET", "/Users?count=1000&attributes=userName")["Resources"]

    there = [user["userName"] for user in sandbox.state()["users"]]
    assert set(before) <= {user["userName"] for user in listed}
    assert set(before) <= set(there)
    assert len(there) == len(set(there))


def _create(served, names, answered):
    for name in names:
        try:
            if served.send("POST", "/Users", person(name)).status_code == 201:
                answered.append(name)
        except requests.RequestException:
            return


def _is_refused(url):
    try:
        requests.get(f"{url}/healthz", timeout=1)
    except requests.ConnectionError as error:
        return "refused" in str(error)
    except requests.Timeout:
        return False
    return False


def _children(served, *, of):
    """The processes of a bridge that one of its processes has started."""
    found = []
    for pid in served.family() - {of}:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - not a file to be managed
            if int(stat.read().rpartition(")")[2].split()[1]) == of:
                found.append(pid)
    return found
