"""The benchmark runs and tells of every row: how fast a machine is proves nothing here."""

import json

import pytest
from click.testing import CliRunner

from tests.benchmarks.__main__ import main


# It starts three servers, each of which imports everything.
@pytest.mark.timeout(300)
def test_the_benchmark_measures_every_row_and_draws_them(tmp_path):
    """A short form of `python -m tests.benchmarks --against stock`."""
    file = tmp_path / "figures.json"
    few = ["--users", "12", "--few", "0", "--many", "0", "--rounds", "1", "--no-sandbox"]

    ended = CliRunner().invoke(main, [*few, "--against", "stock", "--json", str(file)])

    assert ended.exit_code == 0, ended.output
    told = json.loads(file.read_text())
    measured = told["milliseconds"]
    assert {"bridge", "stock"} <= measured["POST user"].keys()
    assert all(one["median"] > 0 for case in measured.values() for one in case.values())
    what = {row["what"] for row in told["targets"]}
    assert {"GET user by id, 20 groups", "The three lists", "POST user, durable"} <= what
