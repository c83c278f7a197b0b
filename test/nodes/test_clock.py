"""A robot's clock that stands still, jumps, starts late, or is told a time that is none; and what is said about it."""

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import ROSClock
from rclpy.time import Time

from any2any_ros.nodes.clock import RobotClock

NS = 10**9


class Bag:
    """A recording's clock, and the seconds that pass outside of it."""

    def __init__(self, simulated=True):
        self.ros, self.steady = ROSClock(), 0.0
        self.ros._set_ros_time_is_active(simulated)
        self.clock = RobotClock(self.ros, lambda: int(self.steady * NS))

    def tell(self, seconds):
        self.ros.set_ros_time_override(Time(seconds=seconds))

    def play(self, start, seconds, rate=1):
        """Tell the time ten times a second."""
        for i in range(10 * seconds):
            self.steady += 0.1
            self.tell(start + rate * i / 10)
            assert self.now() == pytest.approx(start + rate * i / 10)

    def now(self):
        return self.clock.now_ns() / NS

    def says(self):
        level, text = self.clock.state()
        return level[0], text


def test_a_clock_that_runs():
    bag = Bag()
    bag.play(100, 5)
    assert bag.says() == (0, "the clock of /clock")
    assert Bag(simulated=False).says() == (0, "the clock of the system")


def test_a_clock_that_stands_still_is_told_and_its_time_goes_on():
    bag = Bag()
    bag.play(100, 5)
    bag.steady += 2
    assert bag.now() == pytest.approx(104.9) and bag.says()[0] == 0
    bag.steady += 1.2
    assert bag.now() == pytest.approx(106.1)
    assert bag.says() == (1, "the clock has stood still for 3.2 s: has /clock ended, or been paused?")


def test_a_clock_that_is_resumed_recovers_by_itself():
    bag = Bag()
    bag.play(100, 5)
    bag.steady += 30
    assert bag.now() == pytest.approx(132.9)
    bag.play(105, 2)
    assert bag.says() == (0, "the clock of /clock")


def test_a_clock_that_never_came():
    bag = Bag()
    bag.steady += 3
    assert bag.says()[0] == DiagnosticStatus.ERROR[0] and "no time has come on /clock for 3.0 s" in bag.says()[1]
    bag.tell(100)
    assert bag.now() == 100 and bag.says() == (0, "the clock of /clock")


@pytest.mark.parametrize(("to", "text"), [(70, "back by 34.9 s"), (204.9, "ahead by 100.0 s"), (0, "back by 104.9 s")])
def test_a_jump_is_told_for_five_seconds(to, text):
    bag = Bag()
    bag.play(100, 5)
    bag.tell(to)
    assert bag.says() == (1, f"the clock jumped {text}")
    bag.play(to + 0.1, 4)
    assert bag.says()[0] == 1
    bag.play(to + 4.1, 2)
    assert bag.says()[0] == 0


def test_a_fast_replay_is_no_jump():
    bag = Bag()
    bag.play(100, 5, rate=20)
    assert bag.says() == (0, "the clock of /clock")


def test_a_time_that_is_none_is_told():
    bag = Bag()
    bag.play(100, 5)
    bag.clock.refused("Seconds value must not be negative")
    assert bag.says() == (1, "a message on /clock is not used: Seconds value must not be negative")
