"""Identity Center refuses the bridge while somebody leaves. What is said, and what is made good?"""

import time

from tests.acceptance.installation import SECRETS, Bridge, Installation
from tests.cli.operation import until

# As many as are delivered at the same time, and more: all meet the mended door at once.
LEAVERS = [f"p{number}@example.com" for number in range(8)]

# A mended cause is noticed within a minute (issue 2).
NOTICED_WITHIN = 60.0

# The setting of the sandbox, and what must be named in words.
SETTING = {"sigv4": "secret_key", "bearer": "bearer_token"}
WORDS = {"sigv4": "access key", "bearer": "access token"}


def reopens(installation: Installation, auth: str) -> str:
    """Change what Identity Center accepts, push leavers, and mend the file that settings name.

    Raises `AssertionError` unless the client gets 2xx, the cause is named, nothing fails, and all
    are disabled within a minute of the mend, without a restart. Says how long it took.
    """
    sandbox = installation.sandbox
    with installation.serving() as bridge:
        first, *others = bridge.add_users(LEAVERS).values()
        bridge.arrive()

        sandbox.behave(**{SETTING[auth]: "another-secret"})
        # Only the process that answers this request meets the closed door.
        bridge.patch(f"/Users/{first}", active=False)
        _names_the_cause(installation, bridge, WORDS[auth])
        for leaver in others:
            bridge.patch(f"/Users/{leaver}", active=False)
        assert all(sandbox.active().values())

        text = installation.credentials.read_text()
        installation.credentials.write_text(text.replace(SECRETS[auth], "another-secret"))
        mended = time.monotonic()
        until(lambda: not any(sandbox.active().values()), within=NOTICED_WITHIN)
        took = time.monotonic() - mended
        status = installation.settle()
    assert (status["circuit"], status["cause"], status["last_error"]) == ("closed", None, None)
    return f"all leavers were disabled {took:.1f} s after the mend"


def _names_the_cause(installation: Installation, bridge: Bridge, words: str) -> None:
    status = installation.json_of("status")
    assert (status["circuit"], status["failed"]) == ("open", 0)
    assert status["pending"] >= 1
    assert words in status["cause"]
    assert words in status["last_error"]
    findings = installation.json_of("doctor", expect=1)["findings"]
    (wrong,) = [one for one in findings if one["what"] == "endpoint"]
    assert wrong["state"] == "wrong"
    assert words in wrong["said"]
    assert words in bridge.ready()["causes"][0]
