"""Reading and writing the few files that the local environment keeps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import sleep

FOLLOW_INTERVAL_S = 0.2
BLOCK_BYTES = 64 * 1024


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, readable by its owner only."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_number(path: Path) -> int | None:
    """The whole number on the file's first line; None without the file or the number."""
    try:
        return int(path.read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def size(path: Path) -> int:
    """The file's size in bytes, 0 without the file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def last_lines(path: Path, n_lines: int, *, since: int = 0) -> list[str]:
    """The last ``n_lines`` lines that stand after the first ``since`` bytes of ``path``."""
    start = end = size(path)
    if n_lines == 0 or end <= since:
        return []
    tail = b""
    with path.open("rb") as file:
        while start > since and tail.count(b"\n") <= n_lines:
            start = max(since, start - BLOCK_BYTES)
            file.seek(start)
            tail = file.read(end - start)
    return tail.decode(errors="replace").splitlines()[-n_lines:]


def follow(path: Path) -> Iterator[str]:
    """New lines of ``path`` as they come, without end; a truncated file is read anew."""
    position = size(path)
    rest = b""
    while True:
        if size(path) < position:
            position, rest = 0, b""
        with path.open("rb") as file:
            file.seek(position)
            added = file.read()
        position += len(added)
        *lines, rest = (rest + added).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
        sleep(FOLLOW_INTERVAL_S)
