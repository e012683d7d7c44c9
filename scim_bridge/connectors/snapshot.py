"""How does a file get new content so that nobody ever reads half of it?"""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from scim_bridge.errors import NotSent

# Personal data: for the owner and the group of the folder's choice alone.
MODE = 0o640


def write_jsonl(path: Path, objects: Iterable[Mapping[str, Any]]) -> int:
    """Replace a file by one of a JSON object in each line. Returns how many. Raises `NotSent`."""
    with _replaced(path) as file:
        return sum(1 for one in objects if file.write(_line(one)))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Replace a file by a table (RFC 4180). Returns its rows. Raises `NotSent`."""
    with _replaced(path) as file:
        table = csv.writer(file)
        table.writerow(header)
        return sum(1 for row in rows if table.writerow(row))


def _line(one: Mapping[str, Any]) -> str:
    return json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\n"


def check_folder(folder: Path) -> None:
    """See that files can be put into a folder. Raises `NotSent`."""
    if not folder.is_dir():
        raise NotSent(f"there is no folder {folder}: make it, for the user the bridge runs as")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NotSent(f"nothing can be written into {folder}: give it to the bridge's user")


@contextmanager
def _replaced(path: Path) -> Iterator[IO[str]]:
    """A file beside the other, which takes its place once it is on the disk as a whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _opened(beside) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise NotSent(f"{path} cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def _opened(path: Path) -> IO[str]:
    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, MODE)

    open_as: Callable[[str, int], int] = opener
    return open(path, "w", encoding="utf-8", newline="", opener=open_as)


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
