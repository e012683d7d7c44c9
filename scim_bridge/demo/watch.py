"""Who clears up when the demo was killed and could not do it itself?

A process of its own. On its stdin the demo names each process that it starts, and says when it has
cleared up. If the stdin ends without that, the demo is gone: its processes are ended then, and its
folder is deleted.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# What the demo says when there is nothing left to do.
CLEARED = "cleared"
# How long processes may take to end before they are killed, in seconds.
END_WITHIN = 15.0
LOOK_AGAIN = 0.1


def watch(said: Iterable[str], folder: Path) -> None:
    """Wait until the demo has ended, and clear up if it has not."""
    processes: list[int] = []
    for line in said:
        if line.strip() == CLEARED:
            return
        processes.append(int(line))
    # The bridge before the sandbox, as the demo does it.
    for process in reversed(processes):
        _end(process)
    shutil.rmtree(folder, ignore_errors=True)


def _end(process: int) -> None:
    """Stop a process that is nobody's child any more; kill it if it does not stop."""
    end = time.monotonic() + END_WITHIN
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
        while time.monotonic() < end:
            time.sleep(LOOK_AGAIN)
            os.kill(process, 0)
        os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    watch(sys.stdin, Path(sys.argv[1]))
