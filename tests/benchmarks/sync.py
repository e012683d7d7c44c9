"""What does Identity Center see of the bridge under load?

python -m tests.benchmarks.sync [--users 5000] [--groups 100] [--memberships 20000]
"""

import argparse
import sys
from pathlib import Path

from tests.benchmarks import push
from tests.benchmarks.figures import tell


def main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    population = push.Population(
        users=given.users, groups=given.groups, memberships=given.memberships
    )
    figures = push.run(
        population, rate=given.rate, clients=given.clients, processes=given.processes
    )
    return tell(f"Initial push of {given.users} people", figures, given.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sync", description=__doc__)
    parser.add_argument("--users", type=int, default=5000)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--memberships", type=int, default=20000)
    parser.add_argument("--rate", type=float, default=500, help="calls_per_second of the bridge")
    parser.add_argument("--clients", type=int, default=4, help="requests of the client at a time")
    parser.add_argument("--processes", type=int, default=1, help="as of scim-bridge serve")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
