"""Has another process left something to be done? It rings, where the database can carry that.

On PostgreSQL a ring comes with the commit of what rang (NOTIFY) and wakes whoever listens at once.
On SQLite nobody hears anything: who waits looks again when the wait is over.
"""

import threading
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from scim_bridge.directory.database import Database, translated
from scim_bridge.errors import DatabaseUnavailable

_CHANNEL = "scim_bridge_marks"


def ring(connection: Connection) -> None:
    """Wake all who listen once the transaction is committed. Many rings in one are one."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")


class Listener:
    """Waits for a ring. For one thread; `close` it at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None

    @property
    def hears(self) -> bool:
        """Whether a ring can be heard at all."""
        return self._database.engine.dialect.name == "postgresql"

    def wait(self, seconds: float, stopping: threading.Event) -> None:
        """Return at a ring, or when so many seconds are over.

        It returns at once when it only begins to listen: what rang between the last look of whoever
        waits and that is found by looking again.
        Raises `DatabaseUnavailable` when the database does not answer.
        """
        if not self.hears:
            stopping.wait(seconds)
            return
        try:
            if self._connection is None:
                with translated():
                    self._listen()
                return
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                return
        except self._errors as error:
            self.close()
            raise DatabaseUnavailable(f"the database does not answer: {error}") from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(self._errors):
                connection.close()

    def _listen(self) -> None:
        pooled = self._database.engine.raw_connection()
        self._connection = pooled.driver_connection
        # Taken out of the pool: it listens for as long as it lives.
        pooled.detach()
        self._connection.autocommit = True
        self._connection.execute(f"LISTEN {_CHANNEL}")

    @property
    def _errors(self) -> type[Exception]:
        """What the driver raises."""
        return self._database.engine.dialect.loaded_dbapi.Error
