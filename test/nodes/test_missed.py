"""Messages that the middleware dropped are counted by the gaps in their numbers, whoever publishes them."""

import random

from rclpy.qos import QoSProfile
from std_msgs.msg import String

from any2any_ros.nodes.missed import Missed


def missed(*numbers):
    counter = Missed()
    for number in numbers:
        counter.take({"publication_sequence_number": number})
    return counter.count


def test_a_gap_is_as_many_messages_as_are_missing():
    assert missed() == missed(7) == missed(1, 2, 3) == 0
    assert missed(1, 2, 5) == 2 and missed(3, 5, 7, 9) == 3


def test_each_of_two_publishers_has_numbers_of_its_own():
    assert missed(100, 5, 101, 6, 102, 7) == 0
    assert missed(100, 5, 101, 8, 103, 9) == 3


def test_of_publishers_that_began_together_each_gap_is_counted_once():
    """A message of one is taken for the other's; what they missed together is right."""
    draw = random.Random(1)
    numbers = [(step + draw.random(), step) for step in range(1, 500) for publisher in range(5)]
    kept = [number for _, number in sorted(numbers) if number in (1, 499) or draw.random() < 0.9]
    assert abs(missed(*kept) - (len(numbers) - len(kept))) <= 5


def test_a_publisher_that_began_anew_has_lost_nothing():
    assert missed(5000, 5001, 1, 2, 3) == 0 and missed(1, 2, 1_000_000, 1_000_001) == 0


def test_any_number_of_publishers_comes_and_goes():
    draw, counter = random.Random(0), Missed()
    for _ in range(1000):
        counter.take({"publication_sequence_number": draw.randrange(2**63)})
    assert counter.count == 0 and len(counter._last) <= 64


def test_a_middleware_that_numbers_nothing_loses_nothing():
    counter = Missed()
    counter.take({"source_timestamp": 3})
    counter.take({"publication_sequence_number": None})
    assert counter.count == 0


def test_what_fast_dds_drops_is_counted(bench):
    """Its queue holds five messages, and nobody takes any while twenty are sent."""
    counter, heard = Missed(), []

    def receive(message, info):
        counter.take(info)
        heard.append(message.data)

    bench.peer.create_subscription(String, "words", receive, QoSProfile(depth=5))
    publisher = bench.publisher(String, "words")
    publisher.publish(String(data="first"))
    bench.until(lambda: heard)
    for i in range(20):
        publisher.publish(String(data=str(i)))
    bench.until(lambda: heard[-1] == "19")
    assert heard[1:] == ["15", "16", "17", "18", "19"] and counter.count == 15
