"""How does a process end when the one that started it is gone?"""

import os
import threading
import time

# How often it is looked whether the parent is still there, in seconds.
LOOK_AGAIN = 0.25


def end_with(parent: int) -> None:
    """End this process at once when it is no longer the child of `parent`.

    Also where the parent was killed and could tell nobody. What is under way is lost as in any
    crash, and healed as after any crash; what goes on alone would be in the way of a new start.
    """
    threading.Thread(target=_watch, args=(parent,), name="parent watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_AGAIN)
    os._exit(1)
