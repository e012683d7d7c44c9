"""Where is the secret that a connector uses? In a file or a variable, never in the settings."""

import os
from pathlib import Path

from scim_bridge.errors import NotSent


def secret(variable: str | None, file: Path | None) -> str:
    """The secret, read anew each time so that it can be changed while the bridge runs.

    Raises `NotSent` when it is not there.
    """
    found = os.environ.get(variable, "") if variable else _from_file(file)
    if not found:
        raise NotSent(f"there is no secret in {variable or file}")
    return found


def _from_file(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise NotSent(f"the secret in {file} cannot be read ({error.strerror})") from error
