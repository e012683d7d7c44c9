"""By what Identity Center knows the bridge."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import ConnectTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.errors import DoorClosed, Unavailable
from scim_bridge.identity_center.credentials import BearerToken, Signature, authority
from scim_bridge.identity_center.scim_endpoint import _query, equals
from scim_bridge.settings import IdentityCenter

URL = "https://scim.eu-west-1.amazonaws.com/tenant/scim/v2/Users"


def prepared(auth: Callable[[Any], Any], url: str = URL, **request: Any) -> Any:
    """A request as requests would send it, authenticated."""
    return requests.Request(request.pop("method", "GET"), url, auth=auth, **request).prepare()


def access_key(signature: Signature) -> str:
    header: str = prepared(signature.auth()).headers["Authorization"]
    return header.split("Credential=")[1].split("/")[0]


def write_keys(path: Path, key: str, *, profile: str = "default") -> Path:
    path.write_text(f"[{profile}]\naws_access_key_id = {key}\naws_secret_access_key = s\n")
    return path


def signature(**settings: Any) -> Signature:
    return Signature(IdentityCenter(region="eu-west-1", **settings))


@pytest.fixture(name="keys")
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def test_auth_chooses_the_kind() -> None:
    """`[identity_center] auth`."""
    assert isinstance(authority(IdentityCenter(auth="bearer")), BearerToken)
    assert isinstance(authority(IdentityCenter(auth="sigv4", region="x")), Signature)


@pytest.mark.usefixtures("keys")
def test_region_and_service_are_in_the_scope() -> None:
    """Signature Version 4: the credential scope; signing_service is configurable."""
    header = prepared(signature(signing_service="scim").auth()).headers["Authorization"]
    assert "/eu-west-1/scim/aws4_request" in header


@given(
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    cursor=st.text("-abZ09+=/:_", max_size=20),
    body=st.none() | st.binary(max_size=20),
)
def test_the_signature_is_the_one_botocore_makes(
    value: str, cursor: str, body: bytes | None
) -> None:
    """An independent implementation agrees on every query the bridge builds, bare keys included."""
    url = f"{URL}?{_query(equals('userName', value), cursor=cursor)}"
    signer = signature()
    signer._keys._credentials = Credentials("AKID", "secret", "session-token")
    ours = prepared(signer.auth(), url, data=body, headers={"Content-Type": "application/json"})
    theirs = AWSRequest("GET", ours.url, data=body or b"")
    for name in ("X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-SHA256", "Content-Type"):
        theirs.headers[name] = ours.headers[name]
    theirs.context["timestamp"] = ours.headers["X-Amz-Date"]
    botocore = SigV4Auth(signer._keys._credentials, "identitystore", "eu-west-1")
    text = botocore.string_to_sign(theirs, botocore.canonical_request(theirs))
    expected = botocore.signature(text, theirs)
    assert ours.headers["Authorization"].endswith(f"Signature={expected}")


@pytest.mark.usefixtures("keys")
def test_a_named_credentials_file_wins_over_the_environment(tmp_path: Path) -> None:
    """Who names a file means it."""
    assert access_key(signature()) == "AKIDENV"
    file = write_keys(tmp_path / "keys", "AKIDFILE")
    assert access_key(signature(credentials_file=file)) == "AKIDFILE"


def test_a_profile_is_honoured(tmp_path: Path) -> None:
    """`[identity_center] profile`, in the named file."""
    file = write_keys(tmp_path / "keys", "AKIDTEAM", profile="team")
    assert access_key(signature(credentials_file=file, profile="team")) == "AKIDTEAM"


def test_missing_credentials_are_a_closed_door() -> None:
    """Nothing becomes failed because nobody gave the bridge a key."""
    with pytest.raises(DoorClosed, match="AWS_ACCESS_KEY_ID"):
        signature().auth()


@pytest.mark.parametrize("settings", [{"profile": "no-such"}, {"credentials_file": Path("/none")}])
def test_a_profile_that_is_not_there_is_a_closed_door(settings: dict[str, Any]) -> None:
    """The message names where it was looked for."""
    with pytest.raises(DoorClosed, match="ProfileNotFound"):
        signature(**settings).auth()


def test_credentials_are_refreshed_before_they_expire() -> None:
    """Roles, web identities and instance profiles: botocore refreshes, the next call signs anew."""
    made: list[int] = []

    def refresh() -> dict[str, str]:
        made.append(1)
        return {
            "access_key": f"ASIA{len(made)}",
            "secret_key": "s",
            "token": f"t{len(made)}",
            # The first ones are about to expire.
            "expiry_time": (datetime.now(UTC) + timedelta(hours=len(made) - 1)).isoformat(),
        }

    signer = signature()
    signer._keys._credentials = RefreshableCredentials.create_from_metadata(
        refresh(), refresh_using=refresh, method="test"
    )
    request = prepared(signer.auth())
    assert "Credential=ASIA2/" in request.headers["Authorization"]
    assert request.headers["X-Amz-Security-Token"] == "t2"
    assert access_key(signer) == "ASIA2"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectTimeoutError(endpoint_url="http://169.254.169.254"), Unavailable),
        (RuntimeError("refreshed, but still expired"), DoorClosed),
    ],
)
def test_credentials_that_cannot_be_refreshed(error: Exception, expected: type) -> None:
    """Who gives out credentials does not answer: try later. It gives none: the door is closed."""

    class Broken(Credentials):
        def get_frozen_credentials(self) -> Any:
            raise error

    signer = signature()
    signer._keys._credentials = Broken("a", "b")
    with pytest.raises(expected):
        signer.auth()


def test_a_mended_file_needs_no_restart(tmp_path: Path) -> None:
    """After a refusal the chain is read again; `renew` says whether there is something to try."""
    file = write_keys(tmp_path / "keys", "AKIDOLD")
    signer = signature(credentials_file=file)
    assert access_key(signer) == "AKIDOLD"
    assert signer.renew(signer.auth()) is False
    write_keys(file, "AKIDNEW")
    assert access_key(signer) == "AKIDOLD"
    assert signer.renew(signer.auth()) is True
    assert access_key(signer) == "AKIDNEW"


def test_every_call_refused_with_the_old_key_is_told_of_the_new_one(tmp_path: Path) -> None:
    """Of two calls that were under way, the second must not close the door for both."""
    file = write_keys(tmp_path / "keys", "AKIDOLD")
    signer = signature(credentials_file=file)
    first, second = signer.auth(), signer.auth()
    write_keys(file, "AKIDNEW")
    assert signer.renew(first) is True
    assert signer.renew(second) is True
    assert signer.renew(signer.auth()) is False


def test_the_remedy_for_signatures_names_the_other_auth() -> None:
    """AWS documents only the bearer token on the SCIM endpoint: an operator must learn it here."""
    remedy = signature().remedy
    assert 'auth = "bearer"' in remedy
    assert "eu-west-1" in remedy
    assert "identitystore" in remedy


def test_a_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`bearer_token_env`; white space around it is no part of it."""
    monkeypatch.setenv("TOKEN", " abc=\n")
    bearer = BearerToken(IdentityCenter(bearer_token_env="TOKEN"))
    assert prepared(bearer.auth()).headers["Authorization"] == "Bearer abc="


def test_a_rotated_token_file_needs_no_restart(tmp_path: Path) -> None:
    """`bearer_token_file` is read anew, even when its size and time stay the same."""
    file = tmp_path / "token"
    file.write_text("first\n")
    bearer = BearerToken(IdentityCenter(bearer_token_file=file))
    assert prepared(bearer.auth()).headers["Authorization"] == "Bearer first"
    before = file.stat()
    file.write_text("other\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert prepared(bearer.auth()).headers["Authorization"] == "Bearer other"


@pytest.mark.parametrize("token", ["", "  \n", "two words", "naïve", "a\nb"])
def test_a_token_that_can_be_none_is_a_closed_door(tmp_path: Path, token: str) -> None:
    """The message names the file, and never the token."""
    file = tmp_path / "token"
    file.write_text(token)
    with pytest.raises(DoorClosed) as caught:
        BearerToken(IdentityCenter(bearer_token_file=file)).auth()
    assert str(file) in caught.value.detail
    assert token.strip() == "" or token not in caught.value.detail


def test_a_token_file_that_is_not_there_is_a_closed_door(tmp_path: Path) -> None:
    """The message says which file, and why."""
    with pytest.raises(DoorClosed, match="No such file"):
        BearerToken(IdentityCenter(bearer_token_file=tmp_path / "none")).auth()


def test_no_token_at_all_is_a_closed_door() -> None:
    """Neither a file nor a variable is named, or the variable is not set."""
    for settings in (IdentityCenter(), IdentityCenter(bearer_token_env="NOT_SET")):
        with pytest.raises(DoorClosed, match="there is no access token"):
            BearerToken(settings).auth()


def test_the_remedy_for_a_token_says_what_to_do() -> None:
    """Expiry as noted in the settings, where a new one is made and where it goes."""
    remedy = BearerToken(
        IdentityCenter(bearer_token_env="TOKEN", bearer_token_expires="2027-05-01")
    ).remedy
    assert "2027-05-01" in remedy
    assert "Automatic provisioning" in remedy
    assert "TOKEN" in remedy
