"""A simulated table with five things, pictures of it, and a grounder that has seen them."""

import pytest
from grounder_table import SMALL, WHOLE, view_of

from any2any_ros.objects.grounder import Grounder
from any2any_ros.sim.tabletop import SceneConfig, scene


@pytest.fixture(scope="module")
def table():
    return scene(3, config=SceneConfig(objects=5), camera=SMALL)


@pytest.fixture(scope="module")
def frames(table):
    return [table.frame(i) for i in (0, 1, 2)]


@pytest.fixture
def seen(frames):
    """A grounder that has seen the table three times."""
    grounder = Grounder(WHOLE)
    for frame in frames:
        grounder.see(view_of(frame))
    return grounder
