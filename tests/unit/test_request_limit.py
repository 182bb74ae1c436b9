"""The count of requests of each client: a quota at once, then at the rate of the quota."""

from __future__ import annotations

from orderly.http.request_limit import WINDOW_SECONDS, RequestCounts

SECOND = 1_000_000_000
START = 1_000_000 * SECOND


def accepted(counts: RequestCounts, client: str, now: int, requests: int) -> int:
    return sum(counts.wait(client, now) == 0 for _ in range(requests))


def test_a_client_can_send_the_whole_quota_at_once_and_then_at_its_rate() -> None:
    counts = RequestCounts(5)

    assert 5 == accepted(counts, "192.0.2.1", START, 8)
    assert 2 * SECOND == counts.wait("192.0.2.1", START)
    assert 1 * SECOND == counts.wait("192.0.2.1", START + SECOND)
    assert 1 == accepted(counts, "192.0.2.1", START + 2 * SECOND, 8)
    assert 5 == accepted(counts, "192.0.2.1", START + 30 * SECOND, 8)


def test_the_rate_over_many_windows_is_that_of_the_quota() -> None:
    counts = RequestCounts(20)
    windows = 50

    total = sum(
        accepted(counts, "192.0.2.1", START + tenth * SECOND // 10, 3)
        for tenth in range(windows * WINDOW_SECONDS * 10)
    )

    assert 20 * windows <= total <= 20 * (windows + 1)


def test_clients_do_not_share_a_quota() -> None:
    counts = RequestCounts(5)

    assert 5 == accepted(counts, "192.0.2.1", START, 8)
    assert 5 == accepted(counts, "192.0.2.2", START, 8)
    assert 6 == counts.refused


def test_a_client_is_still_known_when_the_counts_of_a_new_window_begin() -> None:
    counts = RequestCounts(5)
    counts.wait("192.0.2.9", START)
    last = START + WINDOW_SECONDS * SECOND - 1
    assert 5 == accepted(counts, "192.0.2.1", last, 8)

    assert 0 == accepted(counts, "192.0.2.1", last + 1, 8)
    assert 1 == accepted(counts, "192.0.2.1", last + 2 * SECOND, 8)


def test_the_memory_for_clients_is_bounded() -> None:
    counts = RequestCounts(5)

    for number in range(100_000):
        counts.wait(f"client {number}", START + number)

    assert 40_000 >= len(counts._recent) + len(counts._older)
    # The clients of this window are known.
    assert 4 == accepted(counts, "client 99999", START + 100_000, 8)


def test_clients_that_have_left_are_forgotten() -> None:
    counts = RequestCounts(5)
    for number in range(1000):
        counts.wait(f"client {number}", START)

    for second in range(3 * WINDOW_SECONDS):
        counts.wait("192.0.2.1", START + second * SECOND)

    assert {"192.0.2.1"} == counts._recent.keys() | counts._older.keys()
