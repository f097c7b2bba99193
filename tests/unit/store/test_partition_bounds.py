"""The bounds of weekly partitions: UUIDs by the time inside them."""

from datetime import UTC, datetime

import uuid_utils

from backend.store.partitions import first_uuid_at

MONDAY = datetime(2026, 2, 2, tzinfo=UTC)


def test_the_time_is_in_the_first_48_bits():
    """2026-02-02T00:00Z is 1,769,990,400,000 ms after 1970: 0x019c1ba62800."""
    assert first_uuid_at(MONDAY) == "019c1ba6-2800-0000-0000-000000000000"


def test_a_decision_lies_in_the_week_of_its_time():
    """The id of that very millisecond is not below the bound, that of the one before is."""
    ms = int(MONDAY.timestamp() * 1000)
    at, before = (str(uuid_utils.uuid7(nanoseconds=t * 1_000_000)) for t in (ms, ms - 1))

    assert before < first_uuid_at(MONDAY) <= at
