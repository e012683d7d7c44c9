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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import ForkProcess
from time import monotonic, sleep

import structlog

from scim_bridge.app import Bridge, build
from scim_bridge.cli.parent import end_with
from scim_bridge.cli.web import GRACE, Web
from scim_bridge.directory import nesting
from scim_bridge.directory.database import connect
from scim_bridge.errors import BridgeError, DatabaseUnavailable
from scim_bridge.metrics import Metrics, serve_apart
from scim_bridge.settings import Settings
from scim_bridge.sync import TARGET

# How long processes may take to end what is under way, before they are killed, in seconds.
STOP_WITHIN = GRACE + 10.0
# How long after its end deliveries are started again, in seconds.
START_AGAIN_AFTER = 1.0

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
# What the main thread of a worker reads: the number of a signal, or that the worker has ended.
_ENDED = b"\0"
_TOLD = {_ENDED, *(bytes([one]) for one in STOPPING)}
_AWAITED = STOPPING | {signal.SIGCHLD}

_fork = multiprocessing.get_context("fork")
log = structlog.get_logger(__name__)


def check(settings: Settings) -> None:
    """Raise now what would end every process as soon as it starts (`SettingsError`) or stands
    against any delivery (`nesting.check`), and forget what an earlier run knew of the doors.

    Before any process starts: what one of them has found since must not be forgotten.
    """
    bridge = build(settings)
    try:
        bridge.worker()
        nesting.check(bridge.database, settings.groups)
        bridge.forget_door()
    finally:
        bridge.close()


def run(settings: Settings, listener: socket.socket) -> bool:
    """Serve until SIGTERM or SIGINT, from the main thread of a process that has no other.

    Deliveries that end are started again, and so are gunicorn's workers. False: gunicorn itself
    ended, and everything was stopped.
    """
    with _fetched(_AWAITED):
        return _run(settings, listener)


def _run(settings: Settings, listener: socket.socket) -> bool:
    web = _started("web", lambda: Web(settings, listener).run())
    # Who does not answer requests does not keep the address open: once those that do have taken
    # what came before the end, whoever comes later is refused at once, and can go elsewhere.
    listener.close()
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
        _fold(settings)


def deliver(settings: Settings) -> None:
    """Run the worker until SIGTERM or SIGINT, from the main thread.

    Raises what ends the worker, and `DatabaseUnavailable` if there is no database to begin with.
    Signals are as they were after it, however it ends.
    """
    bridge = build(settings)
    try:
        _work_until_told(bridge)
    finally:
        bridge.close()


def _work_until_told(bridge: Bridge) -> None:
    worker = bridge.worker()
    with _heard(STOPPING) as (ears, mouth), ThreadPoolExecutor(1, "worker") as pool:
        work = pool.submit(worker.run)
        work.add_done_callback(lambda _: os.write(mouth, _ENDED))
        while os.read(ears, 1) not in _TOLD:
            pass
        worker.stop()
        work.result()


@contextmanager
def _heard(signals: frozenset[signal.Signals]) -> Iterator[tuple[int, int]]:
    """The ends of a pipe that tells of signals, and of what else is written into it.

    A signal meets any thread of the process, and a handler could meet the main thread with a lock
    in its hands: so it is written down as it comes, and read in good time.
    """
    ears, mouth = os.pipe()
    os.set_blocking(mouth, False)
    handlers = {one: signal.signal(one, lambda *_: None) for one in signals}
    written_to = signal.set_wakeup_fd(mouth)
    try:
        yield ears, mouth
    finally:
        signal.set_wakeup_fd(written_to)
        for one, handler in handlers.items():
            signal.signal(one, handler)
        os.close(ears)
        os.close(mouth)


@contextmanager
def _fetched(signals: frozenset[signal.Signals]) -> Iterator[None]:
    """Signals are not handled but fetched, one at a time: none is lost, none comes in between.

    What is not fetched at the end has been answered by ending.
    """
    # An ignored signal is not kept to be fetched, and SIGCHLD is ignored unless it is handled.
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        while signal.sigpending() & signals:
            signal.sigwait(signals)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGCHLD, before)


def _fold(settings: Settings) -> None:
    """Leave the database as one file. Processes that end at once take each other for the last."""
    database = connect(settings.database)
    try:
        database.clock()
    except DatabaseUnavailable as error:
        log.warning("the database is left as it is", reason=str(error))
    finally:
        database.close()


def _deliveries(settings: Settings) -> None:
    if settings.server.metrics_listen is not None:
        _serve_metrics(settings, settings.server.metrics_listen)
    deliver(settings)


def _serve_metrics(settings: Settings, listen: str) -> None:
    try:
        serve_apart(Metrics(connect(settings.database), TARGET), listen)
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
    end = monotonic() + STOP_WITHIN
    for process in processes:
        process.join(max(end - monotonic(), 0.0))
        if process.is_alive():
            log.error("killed, since it did not stop", process=process.name)
            process.kill()
            process.join()
