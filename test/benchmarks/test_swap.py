"""A robot that drives is answered in time while its map is replaced by a large one that nobody has opened."""

import numpy as np
import pytest
import swap

from any2any_ros import srv
from any2any_ros.retrieval.large import LARGE

PLACES, DIMENSION = LARGE + 10_000, 96


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    home = tmp_path_factory.mktemp("maps")
    swap.write_map(home / "small", 1000, DIMENSION)
    swap.write_map(home / "large", PLACES, DIMENSION)
    return home / "small", home / "large"


def test_every_moment_is_answered_and_none_waits_for_the_map(maps):
    small, large = maps
    with swap.running(small, DIMENSION) as driver:
        call = driver.call(srv.LoadMap, "load_map", 1.0, path=str(large))
    assert (call.reply.error_code, call.reply.places) == (0, PLACES), call.reply.error_msg
    latency = {phase: np.array(values) / 1000 for phase, values in call.latency.items()}
    assert all(np.isfinite(values).all() for values in latency.values()), call
    assert len(latency["during"]) >= 5
    # How long anything takes on a busy machine says little. But an answer that had waited for the map would have waited
    # for most of the loading; these wait for at most half of it.
    assert max(*latency["during"], *latency["after"][:3]) < max(call.seconds / 2, 2 * latency["before"].max()), call
