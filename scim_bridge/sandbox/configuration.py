"""Which settings does a bridge need to have this sandbox for its Identity Center?"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from scim_bridge.sandbox.behaviour import IDENTITY_STORE_ID, INSTANCE_ARN, TENANT, Behaviour


def write_config(
    path: Path,
    *,
    base_url: str,
    auth: Literal["sigv4", "bearer"],
    behaviour: Behaviour | None = None,
) -> Path:
    """Write a complete settings file, and the secret that it names beside it; returns the latter.

    `FILE.credentials` is an AWS shared credentials file (`sigv4`) or the token and nothing else
    (`bearer`), readable by its owner only. With a token, the APIs of AWS still take signatures:
    their keys are in `FILE.aws-credentials`. No secret is in the settings file. What was there
    before is overwritten. Raises OSError.
    """
    behaviour = behaviour or Behaviour()
    path = path.absolute()
    secret = path.with_name(path.name + ".credentials")
    named = {"credentials_file": secret}
    if auth == "bearer":
        keys = path.with_name(path.name + ".aws-credentials")
        named = {"bearer_token_file": secret, "credentials_file": keys}
        _write_secret(secret, f"{behaviour.bearer_token}\n")
    _write_secret(named["credentials_file"], _keys(behaviour))
    path.write_text(_settings(path, named, base_url, auth, behaviour), encoding="utf-8")
    return secret


def _keys(behaviour: Behaviour) -> str:
    return (
        "[default]\n"
        f"aws_access_key_id = {behaviour.access_key}\n"
        f"aws_secret_access_key = {behaviour.secret_key}\n"
    )


def _settings(
    path: Path, named: Mapping[str, Path], base_url: str, auth: str, behaviour: Behaviour
) -> str:
    secrets = "\n".join(f"{key} = {_quoted(str(file))}" for key, file in named.items())
    return f"""\
# A bridge in front of a sandbox on this machine, for trying and testing. It reaches no AWS account.

[server]

[database]
url = {_quoted(f"sqlite:///{path.parent / 'bridge.db'}")}

[identity_center]
region = {_quoted(behaviour.region)}
scim_endpoint = {_quoted(f"{base_url}/{TENANT}/scim/v2")}
auth = {_quoted(auth)}
{secrets}
signing_service = {_quoted(behaviour.signing_service)}
identity_store_id = {_quoted(IDENTITY_STORE_ID)}
instance_arn = {_quoted(INSTANCE_ARN)}
endpoint_url = {_quoted(base_url)}
# AWS is asked ten times a second by default; a sandbox takes what this machine can do.
calls_per_second = 200

[safety]
# The people here are make-believe: nobody needs to be asked before many of them are disabled.
brake = false
"""


def _quoted(text: str) -> str:
    """A TOML basic string, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _write_secret(path: Path, secret: str) -> None:
    """The file has its mode before the secret is in it, also where it was there before."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write(secret)
