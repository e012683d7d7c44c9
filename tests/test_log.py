"""What the bridge logs: one line an event, in the form that was asked for, without a secret."""

import json
import logging

import pytest
import structlog

from scim_bridge import log
from scim_bridge.settings import Log

TOKEN = "scb_" + "Ab0-" * 10 + "xyz"


@pytest.fixture(autouse=True)
def _unconfigured():
    """Takes the configuration back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def said(capsys):
    """The events logged so far, from their JSON."""

    def said() -> list[dict]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return said


def test_an_event_is_a_line_of_json(said):
    """With format = "json" each event is an object, with its time and level."""
    log.configure(Log(format="json"))
    structlog.get_logger("scim_bridge.sync").info("delivered", action="create", calls=1)
    [event] = said()

    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "delivered",
        "action": "create",
        "calls": 1,
        "level": "info",
        "logger": "scim_bridge.sync",
    }


def test_text_is_for_people(capsys):
    """With format = "text" an event is one readable line."""
    log.configure(Log())
    structlog.get_logger("scim_bridge").warning("circuit opened", cause="bad signature")
    [line] = capsys.readouterr().err.splitlines()

    assert "warning" in line
    assert "circuit opened" in line
    assert "cause='bad signature'" in line


def test_libraries_are_heard_in_the_same_form(said):
    """The standard library's loggers write the same lines."""
    log.configure(Log(format="json"))
    logging.getLogger("gunicorn.error").info("Listening at %s", "127.0.0.1:8080")

    [event] = said()
    assert event["event"] == "Listening at 127.0.0.1:8080"
    assert event["logger"] == "gunicorn.error"


def test_the_level_is_kept(said):
    """Below the level nothing is said, and chatty libraries are held to warnings."""
    log.configure(Log(format="json", level="info"))
    structlog.get_logger("scim_bridge").debug("details")
    logging.getLogger("botocore.credentials").info("found credentials")

    assert said() == []


def test_configuring_again_replaces(said):
    """A second configuration does not make every line appear twice."""
    log.configure(Log(level="warning"))
    log.configure(Log(format="json"))
    structlog.get_logger("scim_bridge").info("once")

    assert [event["event"] for event in said()] == ["once"]


def test_a_request_is_on_every_line_within_it(said):
    """The request id ties the lines of one request together, and ends with it."""
    log.configure(Log(format="json"))
    with log.bound(request_id="r-1", client="okta"):
        logging.getLogger("scim2_server").warning("inside")
    structlog.get_logger("scim_bridge").info("outside")
    inside, outside = said()

    assert (inside["request_id"], inside["client"]) == ("r-1", "okta")
    assert "request_id" not in outside


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_is_never_said(form, capsys):
    """A token is masked by the name of its field and by its look, in messages and errors too."""
    log.configure(Log(format=form))
    logger = structlog.get_logger("scim_bridge")
    secret = "a4f0c9e2"
    try:
        raise ValueError(f"bad token {TOKEN}")
    except ValueError:
        logger.exception("refused", authorization=secret, bearer_token=secret, secret_key=secret)
    logging.getLogger("urllib3").warning("sent %s", f"Authorization: Bearer {secret}")
    logger.info("got %s", TOKEN)
    said = capsys.readouterr().err

    assert TOKEN not in said
    assert secret not in said
    assert said.count("***") >= 5


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_shows_no_values(form, capsys):
    """Where an error came from is told, the values of variables are not."""
    log.configure(Log(format=form))
    password = "hunter" + "2"
    try:
        raise RuntimeError("no answer")
    except RuntimeError:
        structlog.get_logger("scim_bridge").exception("failed")
    said = capsys.readouterr().err

    assert "RuntimeError: no answer" in said
    assert password not in said
