"""Nobody is overtaken while they wait."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from scim_bridge.directory.line import Line
from tests.cli.operation import until


def test_whoever_came_first_goes_first() -> None:
    """Also before somebody who comes anew at the moment in which a turn ends."""
    line, gone = Line(), list[int]()

    def stand(number: int) -> None:
        with line.turn(60):
            gone.append(number)

    with ThreadPoolExecutor(10) as pool:
        with line.turn(60):
            for number in range(8):
                pool.submit(stand, number)
                until(_stand_in(line, number + 2))
        stand(8)
    assert gone == list(range(9))


def test_nobody_stands_in_it_for_ever() -> None:
    """Whoever gave up is not called, and does not keep the others from their turn."""
    line, ended = Line(), threading.Event()

    def give_up() -> None:
        with line.turn(0.01):
            ended.set()

    with ThreadPoolExecutor(1) as pool, line.turn(60):
        pool.submit(give_up)
        assert ended.wait(60)
    with line.turn(60):
        assert _stand_in(line, 1)()


def _stand_in(line: Line, number: int) -> Callable[[], bool]:
    return lambda: len(line._waiting) == number
