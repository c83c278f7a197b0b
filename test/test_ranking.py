"""The answer: its probability is that of the first match."""

import numpy as np

from any2any_ros.ranking import Match, Ranking


def test_a_ranking_of_nothing_is_improbable():
    assert Ranking((), ()).probability == 0
    match = Match("a", 0.7, 1.0, np.eye(4), np.empty((0, 0)))
    assert Ranking((match,), ("lidar",)).probability == 0.7
