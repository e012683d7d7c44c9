"""Requests with conditions (RFC 7644, section 3.14; RFC 9110, section 13)."""

from typing import Any

import pytest

from tests.scim.conftest import Scim, assert_error, person

CHANGE = {"Operations": [{"op": "replace", "path": "title", "value": "Analyst"}]}


@pytest.fixture
def path(scim: Scim) -> str:
    """The path of a user whose version is W/"2"."""
    path = f"/Users/{scim.user(title='Countess')['id']}"
    scim.patch(path, {"op": "add", "path": "nickName", "value": "Ada"})
    return path


# Which headers fit the version W/"2", whatever their form.
FITTING = ['W/"2"', '"2"', 'w/"2"', 'W/"1", W/"2"', '"1","2" , "3"', "*", "2"]
OTHER = ['W/"1"', '"1"', 'W/"1", "3"', '"W/2"', '"22"', '""']


def write(scim: Scim, method: str, path: str, headers: dict[str, str]) -> Any:
    body = {"PUT": person(title="Analyst"), "PATCH": CHANGE, "DELETE": None}[method]
    return scim.send(method, path, body, headers=headers)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_of_what_the_client_has_is_304(scim: Scim, path: str, method: str) -> None:
    """RFC 9110, section 15.4.5: no body, and the headers a 200 would have."""
    for header in FITTING:
        answer = scim.send(method, path, headers={"If-None-Match": header})

        assert (answer.status_code, answer.data) == (304, b""), header
        assert answer.headers["ETag"] == 'W/"2"'
        assert answer.headers["Content-Location"].endswith(path)


def test_a_read_of_what_the_client_does_not_have_is_200(scim: Scim, path: str) -> None:
    """RFC 9110, section 13.1.2."""
    for header in [*OTHER, ""]:
        answer = scim.get(path, headers={"If-None-Match": header})

        assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"'), header
        assert answer.json["meta"]["version"] == 'W/"2"'


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_write_whose_condition_does_not_hold_is_412(scim: Scim, path: str, method: str) -> None:
    """RFC 9110, sections 13.1.1 and 13.1.2: and nothing is changed."""
    unmet = [{"If-Match": one} for one in OTHER] + [{"If-None-Match": one} for one in FITTING]

    for headers in unmet:
        assert_error(write(scim, method, path, headers), 412)
        user = scim.get(path).json
        assert (user["title"], user["meta"]["version"]) == ("Countess", 'W/"2"'), headers


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [{"If-Match": '"1", W/"2"'}, {"If-Match": "*"}, {"If-None-Match": 'W/"1"'}],
    ids=str,
)
def test_a_write_whose_condition_holds_is_done(
    scim: Scim, path: str, headers: dict[str, str], method: str
) -> None:
    """The weak form matches too: SCIM has no other (RFC 7644, section 3.14)."""
    assert write(scim, method, path, headers).status_code == (204 if method == "DELETE" else 200)


def test_every_form_of_a_version_lets_a_write_be_done(scim: Scim, path: str) -> None:
    """A PATCH that changes nothing leaves the version for the next."""
    same = {"op": "replace", "path": "title", "value": "Countess"}
    for header in FITTING:
        assert scim.patch(path, same, headers={"If-Match": header}).status_code == 200, header


def test_conditions_of_a_creation_are_harmless(scim: Scim) -> None:
    """There is nothing yet that could have a version."""
    for number, headers in enumerate(
        ({"If-None-Match": "*"}, {"If-Match": "*"}, {"If-Match": "x"})
    ):
        assert scim.post("/Users", person(f"u{number}"), headers=headers).status_code == 201


def test_what_is_not_there_is_404_whatever_the_condition(scim: Scim) -> None:
    """RFC 9110, section 13.2.1: conditions come after everything else."""
    bodies = {"GET": None, "PUT": person(), "PATCH": CHANGE, "DELETE": None}
    for method, body in bodies.items():
        assert_error(scim.send(method, "/Users/nobody", body, headers={"If-Match": "*"}), 404)


def test_a_list_has_no_version(scim: Scim, path: str) -> None:
    """It is answered whatever the client has."""
    answer = scim.get("/Users", headers={"If-None-Match": "*"})

    assert answer.status_code == 200
    assert "ETag" not in answer.headers
