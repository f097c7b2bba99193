"""The group-commit writer: what is committed together, and what each request hears of it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from backend.domain import Claim
from backend.errors import StoreUnavailable, WrongState
from backend.service.writer import MAX_ROWS, GroupCommitWriter
from tests.polling import eventually


@dataclass(frozen=True)
class Entry:
    """Something to store."""

    name: str
    n_rows: int = 1
    claim: Claim | None = None


def claimed(name, idempotency_key, key_id="key_1"):
    return Entry(name, claim=Claim(key_id, idempotency_key, b"hash", lambda _: (200, b"")))


class Store:
    """Keeps each batch it is given. Closed, it lets no batch finish until it is opened."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = threading.Event()
        self.open.set()

    def __call__(self, items):
        names = [item.name for item in items]
        self.batches.append(names)
        assert self.open.wait(5.0)
        if "broken" in names:
            raise ZeroDivisionError
        return [
            WrongState(f"not {name}") if name.startswith("bad") else name.upper() for name in names
        ]


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def writer(store):
    found = GroupCommitWriter(store, timeout_s=5.0)
    found.start()
    yield found
    store.open.set()
    found.stop(5.0)


@pytest.fixture
def threads():
    with ThreadPoolExecutor(16) as pool:
        yield pool


def submit_behind(writer, store, threads, entries):
    """Submit ``entries``, in order, while the writer is busy with one before; then let it go on."""
    store.open.clear()
    futures = [threads.submit(writer.submit, Entry("first"))]
    eventually(lambda: store.batches)
    for entry in entries:
        n_queued = writer._queue.qsize()
        futures.append(threads.submit(writer.submit, entry))
        eventually(lambda n=n_queued: writer._queue.qsize() > n)
    store.open.set()
    return futures[1:]


def test_the_result_of_an_item_comes_back_to_its_request(writer):
    """What the store answers for it."""
    assert writer.submit(Entry("a")) == "A"


def test_what_waits_is_committed_together(writer, store, threads):
    """Three items that came during one commit make one batch."""
    futures = submit_behind(writer, store, threads, [Entry("a"), Entry("b"), Entry("c")])

    assert [f.result() for f in futures] == ["A", "B", "C"]
    assert store.batches == [["first"], ["a", "b", "c"]]


def test_a_bad_item_does_not_spoil_the_others(writer, store, threads):
    """Its request gets its error; the others get their results."""
    good, bad, other = submit_behind(writer, store, threads, [Entry("a"), Entry("bad"), Entry("b")])

    assert good.result() == "A"
    assert other.result() == "B"
    with pytest.raises(WrongState, match="not bad"):
        bad.result()


def test_an_item_that_breaks_the_commit_is_found(writer, store, threads):
    """A batch that fails in an unforeseen way is tried item by item; only the culprit hears of it."""
    good, broken = submit_behind(writer, store, threads, [Entry("a"), Entry("broken")])

    assert good.result() == "A"
    with pytest.raises(ZeroDivisionError):
        broken.result()
    assert store.batches[1:] == [["a", "broken"], ["a"], ["broken"]]


def test_when_the_store_is_away_all_hear_of_it(threads):
    """A batch that could not be stored at all is not tried again item by item."""
    batches = []

    def away(items):
        batches.append(items)
        raise StoreUnavailable("away")

    writer = GroupCommitWriter(away, timeout_s=5.0)
    writer.start()

    with pytest.raises(StoreUnavailable, match="away"):
        writer.submit(Entry("a"))
    writer.stop(5.0)

    assert len(batches) == 1


def test_twins_go_into_different_batches(writer, store, threads):
    """The second item under an Idempotency-Key must find the answer of the first one stored."""
    futures = submit_behind(
        writer,
        store,
        threads,
        [claimed("a", "same"), claimed("b", "same"), claimed("c", "other"), Entry("d")],
    )

    assert [f.result() for f in futures] == ["A", "B", "C", "D"]
    assert store.batches[1:] == [["a", "c", "d"], ["b"]]


def test_the_same_idempotency_key_of_two_callers_is_no_twin(writer, store, threads):
    """Each API key has its own."""
    futures = submit_behind(
        writer, store, threads, [claimed("a", "same", "key_1"), claimed("b", "same", "key_2")]
    )

    assert [f.result() for f in futures] == ["A", "B"]
    assert store.batches[1:] == [["a", "b"]]


def test_a_batch_has_a_limit(writer, store, threads):
    """A batch closes when it has MAX_ROWS rows; the rest goes into the next."""
    futures = submit_behind(
        writer, store, threads, [Entry("a", MAX_ROWS - 1), Entry("b"), Entry("c")]
    )

    assert [f.result() for f in futures] == ["A", "B", "C"]
    assert store.batches[1:] == [["a", "b"], ["c"]]


def test_stopping_stores_what_is_queued(writer, store, threads):
    """Nothing that was taken is forgotten, twins included."""
    futures = submit_behind(
        writer, store, threads, [Entry("a"), claimed("b", "same"), claimed("c", "same")]
    )

    writer.stop(5.0)

    assert [f.result() for f in futures] == ["A", "B", "C"]
    assert not writer._thread.is_alive()


def test_a_request_does_not_wait_for_ever(store):
    """After its timeout it is told that nothing is confirmed."""
    writer = GroupCommitWriter(store, timeout_s=0.05)
    writer.start()
    store.open.clear()

    with pytest.raises(StoreUnavailable, match="did not confirm in time"):
        writer.submit(Entry("a"))

    store.open.set()
    writer.stop(5.0)


def test_many_threads_each_get_their_own_answer(writer, threads):
    """500 items from 16 threads: nobody gets another one's result, and none is lost."""
    names = [f"n{i}" for i in range(500)]

    results = list(threads.map(lambda name: writer.submit(Entry(name)), names))

    assert results == [name.upper() for name in names]
