"""Which key seals the audit trail, and where is it kept? A file outside of the database."""

import os
import secrets
import stat
from pathlib import Path

from sqlalchemy import func, select

from scim_bridge.directory.database import Database
from scim_bridge.directory.tables import audit_seals
from scim_bridge.errors import SettingProblem, SettingsError
from scim_bridge.settings import Audit

_KEY_BYTES = 32


def load_key(settings: Audit, database: Database) -> bytes:
    """The key of the seals, from its file; made there when there is no file and no seal yet.

    The file holds 32 random bytes in hexadecimal and is readable by its owner only. Without
    ``audit.key_file`` it is beside the SQLite database. Raises `SettingsError` when the file is
    missing though rows are sealed, readable for others, or does not hold such a key.
    """
    path = key_file(settings, database)
    content = _content(path)
    if content is None:
        _refuse_a_second_chain(database, path)
        _make_key(path)
        content = _content(path)
    return _key(path, content or b"")


def key_file(settings: Audit, database: Database) -> Path:
    """Where the key of the seals is. Raises `SettingsError` if nothing says it."""
    if settings.key_file is not None:
        return settings.key_file
    if database.path is None:
        raise _unusable("is not set; name the file of the key, outside of the database")
    return database.path.with_name(f"{database.path.name}.audit-key")


def _refuse_a_second_chain(database: Database, path: Path) -> None:
    with database.reading() as connection:
        seals = connection.scalar(select(func.count()).select_from(audit_seals))
    if seals:
        raise _unusable(
            f"{path} is missing, but the trail holds {seals} seals made with its key; "
            "put the key back from your backup, a new one cannot verify them"
        )


def _make_key(path: Path) -> None:
    """Make the file, whole or not at all; if somebody else just made it, theirs is kept."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            _write_durably(draft, secrets.token_hex(_KEY_BYTES))
            path.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
        _make_durable(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise _unusable(
            f"{path} cannot be made: {error.strerror}; make the folder writable for the bridge, "
            f"or the file yourself: {_KEY_BYTES * 2} random hexadecimal digits, mode 0600"
        ) from error


def _write_durably(path: Path, content: str) -> None:
    # A key that a power cut takes away would leave seals that nobody can verify.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{content}\n")
        file.flush()
        os.fsync(file.fileno())


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content(path: Path) -> bytes | None:
    """What the file holds; None if there is no file."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise _unusable(f"{path} is open to other users of the machine; chmod 600 it")
            return file.read(4096)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(f"{path} cannot be read: {error.strerror}") from error


def _key(path: Path, content: bytes) -> bytes:
    try:
        key = bytes.fromhex(content.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        raise _unusable(
            f"{path} does not hold a key of at least {_KEY_BYTES * 2} hexadecimal digits; "
            "put the key back from your backup or, if nothing was sealed yet, delete the file"
        )
    return key


def _unusable(what: str) -> SettingsError:
    return SettingsError([SettingProblem(where="audit.key_file", what=what)])
