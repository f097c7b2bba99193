"""Gunicorn: gevent workers, so that many requests can wait for one commit."""

import os

bind = os.environ.get("BANDSTAND_BIND", "127.0.0.1:8080")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gevent"
worker_connections = 1000
backlog = 2048
timeout = 60
graceful_timeout = 25
keepalive = 75
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - heartbeats need no disk
control_socket_disable = True
limit_request_line = 4094
limit_request_fields = 64


def worker_exit(server, worker):  # type: ignore[no-untyped-def] # noqa: ARG001
    """Store what is queued before the process ends."""
    app = getattr(worker, "wsgi", None)  # None: the worker failed to start
    if app is not None and "bandstand" in app.extensions:
        app.extensions["bandstand"].stop()


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """Take requests only when the snapshots are loaded, or after a while, to say on /api/readyz why they are not.

    Then keep the garbage collector off what lives as long as the worker, and off requests that wait for a commit.
    """
    import gc

    if "bandstand" in worker.wsgi.extensions:
        worker.wsgi.extensions["bandstand"].snapshots.loaded.wait(timeout=10)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
