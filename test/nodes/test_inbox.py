"""The newest few wait, the rest is counted, and closing always returns."""

import threading
import time

from any2any_ros.nodes.inbox import Inbox


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
