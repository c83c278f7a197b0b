"""The newest few wait, the rest is counted, and closing always returns."""

import threading
import time

from any2any_ros import limits
from any2any_ros.nodes.inbox import Inbox, Newest


def test_everything_that_fits_is_worked_off_in_order():
    done = []
    inbox = Inbox(100, done.extend)
    for i in range(50):
        inbox.put(i)
    while len(done) < 50:
        time.sleep(0.001)
    inbox.close()
    assert done == list(range(50)) and inbox.dropped == 0


def test_the_newest_is_kept_while_work_goes_on():
    gate, done = threading.Event(), []

    def work(items):
        gate.wait(5)
        done.append(items)

    inbox = Inbox(2, work)
    inbox.put("first")
    while inbox._items:  # until it is being worked on
        time.sleep(0.001)
    for i in range(10):
        inbox.put(i)
    gate.set()
    while len(done) < 2:
        time.sleep(0.001)
    inbox.close()
    assert done == [["first"], [8, 9]] and inbox.dropped == 8


def test_close_waits_for_the_work_at_hand_and_drops_what_waits():
    started, done = threading.Event(), []

    def work(items):
        started.set()
        time.sleep(0.1)
        done.append(items)

    inbox = Inbox(1, work)
    inbox.put(1)
    assert started.wait(5)
    inbox.put(2)
    inbox.close()
    assert done == [[1]] and not inbox._thread.is_alive()


def test_large_items_wait_as_far_as_their_bytes_allow(monkeypatch):
    monkeypatch.setattr(limits, "WAITING_BYTES", 100)
    waiting = Newest(10)
    for i, size in enumerate((40, 40, 10, 40)):
        waiting.put(i, size)
    assert list(waiting) == [1, 2, 3] and waiting.dropped == 1
    waiting.put("huge", 1000)  # the newest may always wait
    assert list(waiting) == ["huge"] and waiting.dropped == 4
    waiting.put("small", 1)
    assert list(waiting) == ["small"] and waiting.dropped == 5


def test_what_is_not_wanted_is_not_counted_as_dropped():
    waiting = Newest(5)
    for i in range(4):
        waiting.put(i, 10)
    assert waiting.keep(lambda item: item % 2 == 0) == 2 and list(waiting) == [0, 2]
    waiting.clear()
    assert len(waiting) == waiting.dropped == 0
