"""The order in which passwords are hashed, and who is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import PasswordHashingBusy
from services.hashing_queue import Client, HashingQueue
from tests.support.processes import wait_until


class Hashing:
    """A queue with one slot, whose hashes finish when the test says so."""

    def __init__(self, max_waiting: int) -> None:
        self.queue = HashingQueue(1, max_waiting, clock=lambda: self.now)
        self.now = 0.0
        self.served: list[str] = []
        self.refused: list[str] = []
        self._started = 0
        self._may_finish = threading.Semaphore(0)
        self._threads = ThreadPoolExecutor(20)

    def start(self, *accounts: str, network: str = "office") -> None:
        """Request a slot for each account; return when all are served, waiting or refused."""
        for account in accounts:
            self._started += 1
            self._threads.submit(self._hash, Client(network, account))
            wait_until(lambda: self._started == self._known())

    def _known(self) -> int:
        return len(self.served) + len(self.refused) + len(self.queue._waiters)

    def _hash(self, client: Client) -> None:
        try:
            with self.queue.slot(client):
                self.served.append(client.account)
                assert self._may_finish.acquire(timeout=30)
        except PasswordHashingBusy:
            self.refused.append(client.account)

    def finish_one(self) -> None:
        """Let one hash finish; return when the next one has begun."""
        served = len(self.served)
        self._may_finish.release()
        wait_until(lambda: len(self.served) > served)

    def finish(self) -> list[str]:
        """Let all hashes finish; return the accounts in the order in which they were served."""
        for _ in range(self._started):
            self._may_finish.release()
        self._threads.shutdown()
        return self.served


@pytest.fixture
def make_hashing() -> Iterator[Callable[[int], Hashing]]:
    made: list[Hashing] = []

    def make(max_waiting: int) -> Hashing:
        made.append(Hashing(max_waiting))
        return made[-1]

    yield make
    for hashing in made:
        hashing.finish()


MakeHashing = Callable[[int], Hashing]


def test_an_account_that_signs_in_once_comes_before_one_that_signs_in_repeatedly(
    make_hashing: MakeHashing,
) -> None:
    hashing = make_hashing(10)
    hashing.start("eve", "eve", "eve", "alice")

    assert ["eve", "alice", "eve", "eve"] == hashing.finish()


def test_accounts_of_the_same_network_take_turns(make_hashing: MakeHashing) -> None:
    hashing = make_hashing(10)
    hashing.start("alice", "alice", "alice", "bob", "bob")

    assert ["alice", "bob", "alice", "bob", "alice"] == hashing.finish()


def test_of_accounts_with_equal_usage_the_one_on_the_quieter_network_comes_first(
    make_hashing: MakeHashing,
) -> None:
    hashing = make_hashing(10)
    hashing.start("alice", "bob", "carol")
    hashing.start("eve", network="elsewhere")

    assert ["alice", "eve", "bob", "carol"] == hashing.finish()


def test_usage_is_forgotten_over_time(make_hashing: MakeHashing) -> None:
    hashing = make_hashing(20)
    hashing.start("alice", "eve", "eve", "eve")
    hashing.now += 600  # ten half-lives: eve counts as having used almost nothing
    hashing.start("bob", "bob", "eve")

    assert ["alice", "bob", "eve", "eve", "bob", "eve", "eve"] == hashing.finish()


def test_a_full_queue_refuses_the_account_that_has_used_the_most(
    make_hashing: MakeHashing,
) -> None:
    hashing = make_hashing(4)
    hashing.start("eve", "eve", "eve", "eve")
    hashing.start("alice", "bob")

    assert ["eve", "eve"] == hashing.refused
    assert ["eve", "alice", "bob", "eve"] == hashing.finish()


def test_one_network_cannot_fill_the_queue(make_hashing: MakeHashing) -> None:
    hashing = make_hashing(4)
    hashing.start("alice", "bob", "carol", "dave", "erin")

    assert ["erin"] == hashing.refused
    with pytest.raises(PasswordHashingBusy):
        hashing.queue.require_capacity(Client("office", "frank"))
    hashing.queue.require_capacity(Client("elsewhere", "frank"))


def test_a_refused_attempt_does_not_count_as_usage(make_hashing: MakeHashing) -> None:
    hashing = make_hashing(4)
    hashing.start("alice", "bob", "carol", "dave", "erin", "erin")  # erin is refused twice
    hashing.finish_one()  # bob is served, so one more thread can wait
    hashing.start("erin", "bob")

    assert ["erin", "erin", "bob"] == hashing.refused
