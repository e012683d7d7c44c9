"""What does Identity Center see of the bridge under load?

    python -m tests.benchmarks.sync [--users 5000] [--groups 100] [--memberships 20000]
    python -m tests.benchmarks.sync --scenario throttled | outage | leaver | volume

Each starts a sandbox and a bridge itself, prints what it measured beside what has to be reached,
and ends with 1 if anything was missed.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.benchmarks import leaver, outage, push, throttled, volume
from tests.benchmarks.figures import Figure, tell

Scenario = Callable[[argparse.Namespace], list[Figure]]


def _push(given: argparse.Namespace) -> list[Figure]:
    population = push.Population(
        users=given.users or 5000,
        groups=given.groups,
        memberships=given.memberships,
    )
    return push.run(
        population,
        rate=given.rate or 500,
        clients=given.clients or 4,
        processes=given.processes,
        latency=given.latency,
    )


def _throttled(given: argparse.Namespace) -> list[Figure]:
    return throttled.run(users=given.users or 500, clients=given.clients or 12)


def _outage(given: argparse.Namespace) -> list[Figure]:
    return outage.run(
        users=given.users or 5000, rate=given.rate or 20, seconds=given.seconds or 120
    )


def _leaver(given: argparse.Namespace) -> list[Figure]:
    return leaver.run(rate=given.rate or 20)


def _volume(given: argparse.Namespace) -> list[Figure]:
    return volume.run(rows=given.rows, pending=given.users or 100_000)


SCENARIOS: Mapping[str, tuple[str, Scenario]] = {
    "push": ("Initial push, one member per PATCH, and the same again", _push),
    "throttled": (
        "Push of 500 people at 5 calls a second",
        _throttled,
    ),
    "outage": ("Identity Center down, and up again", _outage),
    "leaver": ("A leaver with 20 groups and 10 direct assignments", _leaver),
    "volume": ("1,000,000 rows of audit trail, 100,000 pending", _volume),
}


def main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    title, scenario = SCENARIOS[given.scenario]
    return tell(title, scenario(given), given.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.sync",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenario", choices=SCENARIOS, default="push")
    parser.add_argument("--users", type=int, help="how many people; each scenario has its own")
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--memberships", type=int, default=20_000)
    parser.add_argument("--rate", type=float, help="calls_per_second of the bridge")
    parser.add_argument("--clients", type=int, help="requests of the client at a time")
    parser.add_argument("--processes", type=int, default=1, help="as of scim-bridge serve")
    parser.add_argument("--latency", type=float, default=0, help="of the sandbox, in milliseconds")
    parser.add_argument("--seconds", type=float, help="how long Identity Center is down")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the audit trail")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
