"""The settings file for a bridge in front of the sandbox."""

import configparser
import tomllib
from pathlib import Path

import pytest
import requests
from requests_aws4auth import AWS4Auth

from scim_bridge.sandbox import (
    BEARER_TOKEN,
    IDENTITY_STORE_ID,
    INSTANCE_ARN,
    REGION,
    SECRET_KEY,
    Behaviour,
    write_config,
)


def test_a_signing_bridge_gets_everything_it_needs(tmp_path, server):
    """What is written is enough to be let in with a signature."""
    file = tmp_path / "bridge.toml"
    credentials = write_config(file, base_url=server.url, auth="sigv4")
    settings = tomllib.loads(file.read_text())
    assert settings == {
        "server": {},
        "database": {"url": f"sqlite:///{tmp_path}/bridge.db"},
        "identity_center": {
            "region": REGION,
            "scim_endpoint": server.scim_endpoint,
            "auth": "sigv4",
            "credentials_file": str(credentials),
            "signing_service": "identitystore",
            "identity_store_id": IDENTITY_STORE_ID,
            "instance_arn": INSTANCE_ARN,
            "endpoint_url": server.url,
            "calls_per_second": 200,
        },
        "safety": {"brake": False},
    }
    keys = configparser.ConfigParser()
    keys.read(credentials)
    auth = AWS4Auth(
        keys["default"]["aws_access_key_id"],
        keys["default"]["aws_secret_access_key"],
        settings["identity_center"]["region"],
        settings["identity_center"]["signing_service"],
    )
    url = f"{settings['identity_center']['scim_endpoint']}/Users"
    assert requests.get(url, auth=auth, timeout=10).status_code == 200


def test_a_bridge_with_a_token_gets_a_file_with_the_token(tmp_path, server):
    """bearer_token_file has the token and nothing else."""
    file = tmp_path / "bridge.toml"
    credentials = write_config(file, base_url=server.url, auth="bearer")
    center = tomllib.loads(file.read_text())["identity_center"]
    assert (center["auth"], center["bearer_token_file"]) == ("bearer", str(credentials))
    assert "sandbox-secret" in Path(center["credentials_file"]).read_text()
    assert credentials.read_text().strip() == BEARER_TOKEN


@pytest.mark.parametrize("auth", ["sigv4", "bearer"])
def test_the_secret_is_beside_the_settings_and_for_its_owner_only(tmp_path, auth):
    """FILE.credentials has mode 0600, also when it was there before; no secret is in FILE."""
    before = tmp_path / "bridge.toml.credentials"
    before.write_text("something much longer than any of the secrets that are written here" * 3)
    before.chmod(0o644)
    file = tmp_path / "bridge.toml"
    assert write_config(file, base_url="http://127.0.0.1:9090", auth=auth) == before
    assert before.stat().st_mode & 0o777 == 0o600
    assert "something" not in before.read_text()
    assert not {SECRET_KEY, BEARER_TOKEN} & set(file.read_text().replace('"', " ").split())


def test_what_was_chosen_is_written(tmp_path, monkeypatch):
    """Region, service and secrets are those of the behaviour; a relative FILE becomes absolute."""
    monkeypatch.chdir(tmp_path)
    behaviour = Behaviour(region="eu-west-1", signing_service="scim", secret_key="chosen")
    credentials = write_config(
        tmp_path.__class__("bridge.toml"),
        base_url="http://127.0.0.1:9090",
        auth="sigv4",
        behaviour=behaviour,
    )
    center = tomllib.loads((tmp_path / "bridge.toml").read_text())["identity_center"]
    assert (center["region"], center["signing_service"]) == ("eu-west-1", "scim")
    assert center["credentials_file"] == str(tmp_path / "bridge.toml.credentials")
    assert "chosen" in credentials.read_text()
