"""Which processes is a running bridge, who starts them again, and how do they end?

    serve ─┬─ web: gunicorn ─── its workers, which answer requests
           └─ deliveries: brings to Identity Center what no request did

SIGTERM or SIGINT to the first ends them all, once what is under way has ended. If the first is
killed, the others end by themselves.
"""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkProcess
from time import sleep

import structlog

from scim_bridge.app import Bridge, build
from scim_bridge.cli.parent import end_with
from scim_bridge.cli.web import GRACE, Web, calling
from scim_bridge.directory.database import Database
from scim_bridge.errors import BridgeError
from scim_bridge.metrics import Metrics, serve_apart
from scim_bridge.settings import Settings
from scim_bridge.sync import TARGET

# How long processes may take to end what is under way, before they are killed, in seconds.
STOP_WITHIN = GRACE + 10.0
# How long after its end deliveries are started again, in seconds.
START_AGAIN_AFTER = 1.0

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
_AWAITED = STOPPING | {signal.SIGCHLD}

_fork = multiprocessing.get_context("fork")
log = structlog.get_logger(__name__)


def check(settings: Settings) -> None:
    """Raise now what would end every process as soon as it starts (`SettingsError`)."""
    bridge = build(settings)
    try:
        bridge.worker()
    finally:
        bridge.close()


def run(settings: Settings, listener: socket.socket) -> bool:
    """Serve until SIGTERM or SIGINT, from the main thread of a process that has no other.

    Deliveries that end are started again, and so are gunicorn's workers. False: gunicorn itself
    ended, and everything was stopped.
    """
    # Signals are not handled but fetched, one at a time: none is lost, none comes in between.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    web = _started("web", lambda: Web(settings, listener).run())
    deliveries = _started("deliveries", lambda: _deliveries(settings))
    try:
        while signal.sigwait(_AWAITED) not in STOPPING:
            if not web.is_alive():
                log.error("the web server ended", exit_code=web.exitcode)
                return False
            if not deliveries.is_alive():
                log.error("deliveries ended and are started again", exit_code=deliveries.exitcode)
                deliveries = _started(
                    "deliveries", lambda: _deliveries(settings), after=START_AGAIN_AFTER
                )
        return True
    finally:
        _stop(web, deliveries)


def deliver(settings: Settings, *, calling: int = 1) -> None:
    """Run the worker until SIGTERM or SIGINT, from the main thread.

    `calling`: how many processes call Identity Center, and share its pace.

    Raises what ends the worker, and `DatabaseUnavailable` if there is no database to begin with.
    """
    bridge = build(settings, processes=calling)
    try:
        bridge.forget_door()
        _work_until_told(bridge)
    finally:
        bridge.close()


def _work_until_told(bridge: Bridge) -> None:
    worker = bridge.worker()
    # Fetched below: a signal that interrupts a thread could meet it with a lock in its hands.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    with ThreadPoolExecutor(1, thread_name_prefix="worker") as pool:
        work = pool.submit(worker.run)
        work.add_done_callback(lambda _: os.kill(os.getpid(), signal.SIGTERM))
        signal.sigwait(STOPPING)
        worker.stop()
        work.result()


def _deliveries(settings: Settings) -> None:
    if settings.server.metrics_listen is not None:
        _serve_metrics(settings, settings.server.metrics_listen)
    deliver(settings, calling=calling(settings))


def _serve_metrics(settings: Settings, listen: str) -> None:
    try:
        serve_apart(Metrics(Database(settings.database.url), TARGET), listen)
    except OSError as error:
        # People must lose their access whether or not somebody counts it.
        log.warning("metrics cannot be served", listen=listen, reason=error.strerror)


def _started(name: str, work: Callable[[], None], *, after: float = 0.0) -> ForkProcess:
    process = _fork.Process(target=_child, args=(work, os.getpid(), after), name=name)
    process.start()
    return process


def _child(work: Callable[[], None], parent: int, after: float) -> None:
    # A Ctrl-C goes to the whole group of the terminal; the parent alone says when to stop.
    os.setpgid(0, 0)
    end_with(parent)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
    sleep(after)
    try:
        work()
    except BridgeError as error:
        log.critical("a process of the bridge cannot go on", reason=str(error))
        sys.exit(1)
    except Exception:
        log.exception("a process of the bridge failed")
        sys.exit(1)


def _stop(*processes: ForkProcess) -> None:
    """End what is under way, all at the same time; kill what does not end."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(STOP_WITHIN)
        if process.is_alive():
            log.error("killed, since it did not stop", process=process.name)
            process.kill()
            process.join()
