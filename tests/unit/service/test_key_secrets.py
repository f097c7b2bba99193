"""The secrets of API keys."""

from backend.service.manage_keys import PREFIX, derive_secret, hash_secret


def test_the_same_caller_and_salt_give_the_same_secret():
    """So that a replayed request can show it again."""
    assert derive_secret("caller", "salt") == derive_secret("caller", "salt")


def test_neither_the_salt_nor_the_caller_alone_gives_it():
    """Another caller with the same salt, or the same caller with another salt, makes another secret."""
    secrets = {
        derive_secret(caller, salt) for caller in ("one", "two") for salt in ("salt", "pepper")
    }

    assert len(secrets) == 4


def test_a_secret_is_long_and_recognizable():
    """A prefix to search leaked text for, and 256 bits in hexadecimal: 64 digits."""
    secret = derive_secret("caller", "salt")

    assert secret.startswith(PREFIX)
    assert len(secret) == len(PREFIX) + 64


def test_only_a_hash_of_fixed_length_is_kept():
    """32 bytes that do not contain the secret."""
    kept = hash_secret("bs_secret")

    assert len(kept) == 32
    assert b"secret" not in kept
