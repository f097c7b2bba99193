"""The command line as a person meets it."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from deploy_cli import cli as module
from deploy_cli.cli import cli, main
from deploy_cli.errors import DeployError
from deploy_cli.targets import CHECKOUT, ENVIRONMENTS

VERBS = sorted(cli.commands)


@pytest.fixture(autouse=True)
def _empty_home(monkeypatch, tmp_path):
    """An environment that nobody has created."""
    monkeypatch.setenv("BANDSTAND_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BANDSTAND_PORT", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)


def exit_code(monkeypatch, *words: str) -> int | None:
    monkeypatch.setattr(sys, "argv", ["deploy-cli", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_verbs():
    assert VERBS == ["demo", "down", "logs", "outputs", "plan-experiment", "status", "up"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_has_help(verb):
    command = cli.commands[verb]

    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_wants_an_environment(verb):
    explained = CliRunner().invoke(cli, [verb, "--help"])
    without = CliRunner().invoke(cli, [verb])

    assert explained.exit_code == 0
    assert explained.output.startswith(f"Usage: cli {verb} ")
    assert without.exit_code == 2
    assert "Missing option '--env'" in without.output


@pytest.mark.parametrize("verb", VERBS)
def test_another_environment_is_said_to_be_unknown_yet(verb):
    result = CliRunner().invoke(cli, [verb, "--env", "production"])

    assert result.exit_code == 2
    assert "only `local` is known yet" in result.output


def test_help_lists_every_verb_and_setting():
    text = CliRunner().invoke(cli, ["--help"]).output

    assert all(f"\n  {verb} " in text for verb in VERBS)
    assert ENVIRONMENTS == ("local",)
    assert all(name in text for name in ("BANDSTAND_PORT", "BANDSTAND_HOME", "DATABASE_URL"))


@pytest.mark.parametrize(
    "words", [("outputs", "--json"), ("logs",), ("demo",), ("demo", "--detach")]
)
def test_before_the_first_up_the_way_is_shown(monkeypatch, capsys, words):
    assert exit_code(monkeypatch, *words, "--env", "local") == 1

    shown = capsys.readouterr()
    assert shown.out == ""
    assert "there is no local environment in" in shown.err
    assert "up --env local" in shown.err


def test_status_before_the_first_up_is_down(monkeypatch, capsys):
    assert exit_code(monkeypatch, "status", "--env", "local") == 1
    assert "not created" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("down",), ("demo", "--stop")])
def test_stopping_before_the_first_up_is_no_error(monkeypatch, words):
    assert not exit_code(monkeypatch, *words, "--env", "local")


def test_an_invalid_port_is_named(monkeypatch, capsys):
    monkeypatch.setenv("BANDSTAND_PORT", "http")

    assert exit_code(monkeypatch, "up", "--env", "local") == 1
    assert "BANDSTAND_PORT is 'http', not a port" in capsys.readouterr().err


def test_a_home_that_cannot_be_written_is_named(monkeypatch, capsys, tmp_path):
    """A file stands where a directory would have to: not even root gets past it."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("BANDSTAND_HOME", str(tmp_path / "file" / "home"))

    assert exit_code(monkeypatch, "up", "--env", "local") == 1
    assert "cannot keep data in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "expected", "said"),
    [
        (DeployError("it broke", "mend it"), 1, "error: it broke\nmend it\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: Permission denied: /x\n"),
        (click.UsageError("no such thing"), 2, "Error: no such thing\n"),
        (click.Abort(), 130, ""),
    ],
)
def test_errors_are_told_without_a_traceback(monkeypatch, capsys, raised, expected, said):
    def fail(**_options: object) -> None:
        raise raised

    monkeypatch.setattr(module, "cli", fail)

    assert exit_code(monkeypatch) == expected
    assert capsys.readouterr().err == said


def test_ctrl_c_gives_130(monkeypatch):
    def interrupt(**_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.commands["status"], "callback", interrupt)

    assert exit_code(monkeypatch, "status", "--env", "local") == 130


def test_runs_as_a_module_and_starts_light():
    """Help must not wait for the libraries that only some verbs need."""
    heavy = "{'rich.progress', 'psycopg', 'requests', 'boto3'}"
    program = f"import sys, deploy_cli.cli; print(sorted({heavy} & set(sys.modules)))"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    helped = subprocess.run(
        [sys.executable, "-m", "deploy_cli", "-h"], capture_output=True, text=True
    )

    assert loaded.stdout.strip() == "[]"
    assert helped.stdout.startswith("Usage: ")


def test_make_help_explains_every_target():
    shown = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True).stdout
    targets = {line.split()[1] for line in shown.splitlines() if line.startswith("  make ")}
    makefile = (CHECKOUT / "Makefile").read_text()
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:"))

    assert targets == set(phony.split()[1:])
