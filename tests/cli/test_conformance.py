"""`scim-bridge conformance`: the bridge is checked, with a token that ends with the run."""

import json

import pytest

from scim_bridge.sandbox import SandboxServer
from tests.cli.operation import in_front_of, serving


@pytest.fixture(scope="module")
def server():
    with SandboxServer() as server:
        yield server


def test_the_bridge_is_checked_and_the_token_revoked(run, json_of, server, folder):
    """The result is printed; the client that was made for the run is revoked at its end."""
    with serving(in_front_of(server, folder)) as served:
        options = ("--url", f"{served.url}/scim/v2", "--suite", "sanity")
        told = json.loads(run("conformance", *options, "--json").stdout)

    [made] = [one for one in json_of("client", "list") if one["name"].startswith("conformance-")]
    assert {one["suite"] for one in told["results"]} == {"sanity"}
    assert told["left"] == []
    assert made["revoked"] is not None


def test_the_token_is_revoked_when_nothing_listens(run, json_of, server, folder):
    """No bridge at the address is a mistake of the call: exit code 2, and no token stays."""
    in_front_of(server, folder)
    run("db", "upgrade")
    said = run("conformance", "--url", "http://127.0.0.1:1/scim/v2", expect=2)

    [made] = json_of("client", "list")
    assert "does not answer" in said.stderr
    assert made["revoked"] is not None


def test_without_settings_it_says_how_to_name_them(run, folder):
    """A bridge that is not configured has nobody to check."""
    assert "--config FILE" in run("conformance", expect=2).stderr
    assert not (folder / "scim-bridge.db").exists()


def test_a_real_identity_center_is_left_alone_without_a_yes(run, server, folder):
    """Invented people would reach it: nothing is made, not even a token."""
    file = in_front_of(server, folder)
    file.write_text(file.read_text().replace(server.url, "https://scim.us-east-1.amazonaws.com"))
    said = run("conformance", expect=2)

    assert "--yes" in said.stderr
    assert not (folder / "bridge.db").exists()
