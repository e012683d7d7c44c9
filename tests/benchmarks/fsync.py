"""Is what is answered 2xx on the disk before it is answered?

    python -m tests.benchmarks.fsync [--requests 20]

strace looks at the bridge, or at PostgreSQL and the bridge, while one client creates people: the
system must have been asked to sync the log of the database (fsync, fdatasync), and have done it,
between each request and its answer. Reads must do without, or it would be something else that is
seen. Needs strace, and the right to trace one's own processes.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.connection import Request
from tests.benchmarks.figures import Figure, tell
from tests.benchmarks.population import Population, person, user_id
from tests.benchmarks.servers import DatabaseMaker, Server, bridge, sqlite
from tests.cli.operation import family, until
from tests.postgresql import started

# How long strace may take to attach itself to all threads, or to write down what it saw.
PATIENCE = 30.0
# What strace writes of a request that came, of a sync that was done, and of an answer that goes.
ASKED = re.compile(r'"(?:POST|GET) /scim/')
SYNCED = re.compile(r"\b(?:fsync|fdatasync)\b.*= 0$")
ANSWERED = re.compile(r'"HTTP/1\.1 2')


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a trace says of requests, one after the other."""

    answers: int
    # Those that had a sync between the request and the answer.
    synced: int


def seen(trace: str) -> Seen:
    answers = synced = 0
    has_synced = False
    for line in trace.splitlines():
        if ASKED.search(line):
            has_synced = False
        elif SYNCED.search(line):
            has_synced = True
        elif ANSWERED.search(line):
            answers += 1
            synced += has_synced
    return Seen(answers=answers, synced=synced)


def run(
    name: str, database: DatabaseMaker, requests: int, *, beside: Sequence[int] = ()
) -> Iterator[Figure]:
    """`beside`: the first processes of what else may sync, such as the database's server."""
    population = Population(users=10, spare=0)
    numbers = iter(range(len(population.everybody), 10**6))
    with (
        tempfile.TemporaryDirectory(prefix="scim-bridge-benchmark-") as folder,
        bridge(Path(folder) / "bridge", population, name=name, database=database) as server,
    ):
        # Connections are made, and what is read once is read.
        _create(server, next(numbers))
        with _traced(Path(folder) / "written", server.pid, *beside) as written:
            for _ in range(requests):
                _create(server, next(numbers))
        with _traced(Path(folder) / "read", server.pid, *beside) as read:
            for _ in range(requests):
                server.send(Request(method="GET", path=f"/Users/{user_id(1)}"))
        creations, reads = seen(written.read_text()), seen(read.read_text())
    assert creations.answers == reads.answers == requests, "strace did not see each answer"
    yield Figure(
        name=f"{name}: creations that were synced before their answer",
        value=creations.synced,
        bound="at least",
        target=requests,
    )
    yield Figure(
        name=f"{name}: reads with a sync before their answer",
        value=reads.synced,
        bound="at most",
        target=0,
    )


def _create(server: Server, number: int) -> None:
    answer = server.send(Request(method="POST", path="/Users", body=person(number)))
    assert answer.status == 201, answer.body


@contextmanager
def _traced(file: Path, *roots: int) -> Iterator[Path]:
    """Have strace write down what these processes and their descendants do meanwhile."""
    pids = sorted(pid for root in roots for pid in family(root))
    command = ["strace", "-f", "-qq", "-s", "24", "-o", str(file)]
    command += ["-e", "trace=recvfrom,sendto,read,write,fsync,fdatasync"]
    command += [word for pid in pids for word in ("-p", str(pid))]
    process = subprocess.Popen(command)
    try:
        until(lambda: process.poll() is not None or all(map(_is_traced, pids)), within=PATIENCE)
        assert process.poll() is None, "strace may not trace: see kernel.yama.ptrace_scope"
        yield file
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _is_traced(pid: int) -> bool:
    """Whether somebody looks at each thread of a process."""
    files = Path(f"/proc/{pid}/task").glob("*/status")
    return all("TracerPid:\t0\n" not in file.read_text() for file in files)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.fsync",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args(arguments)
    if shutil.which("strace") is None:
        parser.error("strace is not installed: it is a package of the same name")
    figures = [*run("SQLite", sqlite, given.requests)]
    with started(durable=True) as server:
        beside = [server.pid]
        figures += run("PostgreSQL", lambda _: server.fresh(), given.requests, beside=beside)
    return tell("What is answered is on the disk", figures, given.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
