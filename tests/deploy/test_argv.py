"""Command lines, compared whole."""

from pathlib import Path

from deploy_cli.argv import backend, demo, gunicorn, postgres, system

BINARIES = Path("/pg/bin")


def test_initialise_takes_the_password_from_a_file():
    command = postgres.initialise(BINARIES, Path("/home/data"), "bandstand", Path("/home/password"))

    assert command == (
        "/pg/bin/initdb",
        "--pgdata=/home/data",
        "--username=bandstand",
        "--pwfile=/home/password",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
    )


def test_serve_listens_on_this_machine_only():
    assert " ".join(postgres.serve(BINARIES, Path("/home/data"), 5433)) == (
        "/pg/bin/postgres -D /home/data -c listen_addresses=127.0.0.1 -c port=5433 "
        "-c unix_socket_directories= -c max_connections=100 -c shared_buffers=128MB -c fsync=on "
        "-c synchronous_commit=on -c log_timezone=UTC -c timezone=UTC"
    )


def test_root_steps_down_without_another_user():
    command = ("unshare", "-U", "--map-user=1000", "--map-group=1000")

    assert postgres.as_ordinary_user(1000) == command


def test_service():
    command = gunicorn.serve("/venv/python", Path("/src"), Path("/home/service.pid"))

    assert " ".join(command) == (
        "/venv/python -m gunicorn -c /src/backend/gunicorn.conf.py --no-control-socket "
        "--pid /home/service.pid backend.wsgi:app"
    )


def test_migrate():
    assert backend.migrate("/venv/python") == ("/venv/python", "-m", "backend.migrate")


def test_demo_with_and_without_a_seed():
    start = ("python", "-m", "deploy_cli", "demo", "--env=local", "--rate=50", "--people=9")

    assert demo.replay("python", "local", 50, 9, None) == start
    assert demo.replay("python", "local", 50, 9, 7) == (*start, "--seed=7")


def test_questions_to_the_system():
    assert system.list_processes() == ("ps", "-A", "-ww", "-o", "pid=,command=")
    assert system.listener(80) == ("lsof", "-nP", "-w", "-iTCP:80", "-sTCP:LISTEN", "-Fpc")
