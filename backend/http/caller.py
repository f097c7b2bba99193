"""Whether the caller of the current request still waits for its answer."""

import select
import socket

from flask import request


def is_gone() -> bool:
    """True once the caller has hung up. Only gunicorn shows us its connection; elsewhere False."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    if connection is None:
        return False
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    if not waiting.poll(0):
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True
