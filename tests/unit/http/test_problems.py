"""Every error has a status, a title and one shape."""

import re

import pytest

from backend import errors
from backend.errors import BanditError, InvalidInput, WrongState
from backend.http.problems import STATUS, problem_of


def all_subclasses(cls):
    return {inner for direct in cls.__subclasses__() for inner in {direct} | all_subclasses(direct)}


def of_the_service(cls):
    return cls.__module__ == errors.__name__


def test_every_error_has_a_status():
    """An error without an entry would be a 500."""
    assert set(STATUS) == set(filter(of_the_service, all_subclasses(BanditError)))


@pytest.mark.parametrize("error", STATUS)
def test_every_error_has_a_title(error):
    """The first line of its docstring, a sentence about what is wrong."""
    raised = InvalidInput({"a": ["b"]}) if error is InvalidInput else error()

    found = problem_of(raised)

    assert found["title"] == error.__doc__.splitlines()[0].rstrip(".")
    assert found["status"] == STATUS[error]
    assert found["detail"]
    assert re.fullmatch(r"urn:bandstand:problem:[a-z]+(-[a-z]+)*", found["type"])


def test_the_type_is_the_errors_name():
    """WrongState becomes wrong-state."""
    assert problem_of(WrongState("no"))["type"] == "urn:bandstand:problem:wrong-state"


def test_field_errors_are_kept():
    """Only for what does not validate."""
    assert problem_of(InvalidInput({"arms": ["Too few."]}))["errors"] == {"arms": ["Too few."]}
    assert "errors" not in problem_of(WrongState("no"))
