"""Settings are read once and judged together."""

import pytest

from backend.errors import InvalidInput
from backend.settings import Settings

URL = {"DATABASE_URL": "postgresql://localhost/bandstand"}


def refused(environment):
    with pytest.raises(InvalidInput) as error:
        Settings.from_environment(environment)
    return error.value.errors


def test_only_the_database_is_required():
    """All else has a default."""
    settings = Settings.from_environment(URL)

    assert settings == Settings(URL["DATABASE_URL"])


def test_all_errors_are_listed_at_once():
    """Whoever sets up the service should not find one mistake a start."""
    errors = refused(
        {
            "BANDSTAND_ADMIN_KEY": "short",
            "BANDSTAND_POOL_SIZE": "0",
            "BANDSTAND_REFRESH_INTERVAL_S": "-1",
            "BANDSTAND_STORE_TIMEOUT_S": "inf",
            "BANDSTAND_REQUEST_TIMEOUT_S": "soon",
            "BANDSTAND_TRUSTED_PROXIES": "11",
        }
    )

    assert set(errors) == {
        "DATABASE_URL",
        "BANDSTAND_ADMIN_KEY",
        "BANDSTAND_POOL_SIZE",
        "BANDSTAND_REFRESH_INTERVAL_S",
        "BANDSTAND_STORE_TIMEOUT_S",
        "BANDSTAND_REQUEST_TIMEOUT_S",
        "BANDSTAND_TRUSTED_PROXIES",
    }


@pytest.mark.parametrize(
    ("variable", "text", "hint"),
    [
        ("BANDSTAND_ADMIN_KEY", "x" * 31, "at least 32 characters"),
        ("BANDSTAND_POOL_SIZE", "0", "at least 1"),
        ("BANDSTAND_REFRESH_INTERVAL_S", "0", "above 0"),
        ("BANDSTAND_STORE_TIMEOUT_S", "nan", "above 0"),
        ("BANDSTAND_TRUSTED_PROXIES", "-1", "from 0 to 10"),
    ],
)
def test_each_error_says_what_is_allowed(variable, text, hint):
    """The range is in the message."""
    assert hint in refused({**URL, variable: text})[variable][0]


def test_a_short_admin_key_is_not_repeated():
    """A secret never gets into a message, even a wrong one."""
    errors = refused({**URL, "BANDSTAND_ADMIN_KEY": "hunter2"})

    assert "hunter2" not in str(errors)


def test_values_reach_their_fields():
    """Each with its type; a list of origins is split at commas."""
    settings = Settings.from_environment(
        {
            **URL,
            "BANDSTAND_ADMIN_KEY": "k" * 32,
            "BANDSTAND_POOL_SIZE": "3",
            "BANDSTAND_REFRESH_INTERVAL_S": "0.25",
            "BANDSTAND_RATE_LIMIT": "5/second",
            "BANDSTAND_CORS_ORIGINS": "https://a.example, https://b.example,",
            "BANDSTAND_TRUSTED_PROXIES": "2",
        }
    )

    assert settings.admin_key == "k" * 32
    assert settings.pool_size == 3
    assert settings.refresh_interval_s == 0.25
    assert settings.rate_limit == "5/second"
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.trusted_proxies == 2


def test_an_empty_variable_is_as_good_as_none():
    """Shells and compose files set empty strings easily."""
    assert Settings.from_environment({**URL, "BANDSTAND_POOL_SIZE": ""}).pool_size == 8
