"""A map limited to a region: what remains is ranked alone, and its confidence stays true."""

import numpy as np
import pytest

from any2any_ros.calibration.fitting import CalibrationConfig, calibrate
from any2any_ros.calibration.task import Task
from any2any_ros.errors import Any2AnyError
from any2any_ros.localization.region import EVERYWHERE, Region
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.limited import within
from any2any_ros.retrieval.opened_map import OpenedMap
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig

PLACES, SPACING, DIMENSION, NOISE = 200, 10.0, 16, 0.7
RADIUS = 100.0


def seen(places, noise, draw):
    """Return what is seen at places."""
    return (LOOKS[places] + noise * draw.normal(size=(len(places), DIMENSION))).astype(np.float32)


def observations(vectors, places, name):
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    poses[:, 0, 3] = SPACING * places
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return ObservationSet({"camera": vectors}, poses, tuple(f"{name}/{i:04d}" for i in range(len(places))))


LOOKS = np.random.default_rng(0).normal(size=(PLACES, DIMENSION))


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A calibrated map."""
    draw, places = np.random.default_rng(2), np.arange(PLACES)
    reference = ReferenceMap.bare(observations(seen(places, 0.3, draw), places, "place"))
    asked = np.tile(places, 3)
    queries = observations(seen(asked, NOISE, draw), asked, "query")
    task = Task(queries, asked[:, None] == places[None, :], folds=np.arange(len(asked)) % 5, same_place=5.0)
    fitted = calibrate(reference, task, CalibrationConfig(fusion="mixture"), ConfidenceConfig())
    return OpenedMap(tmp_path_factory.mktemp("map"), reference, Retriever(reference, fitted), {})


def asked(opened, region_of, seed=3, count=400):
    """Return (right, probability, accepted) of queries; region_of: place -> region."""
    draw, out = np.random.default_rng(seed), []
    for place in draw.integers(0, PLACES, count):
        query = observations(seen(np.array([place]), NOISE, draw), np.array([place]), "q").observation(0)
        ranking = within(opened, region_of(place, draw)).rank(query, 5)
        out.append((ranking.matches[0].id == f"place/{place:04d}", ranking.probability, ranking.accepted))
    return [np.array(column) for column in zip(*out, strict=True)]


def around(place, draw):
    """A region that holds the robot."""
    return Region(SPACING * place + draw.uniform(-0.8, 0.8) * RADIUS, 0.0, RADIUS)


def elsewhere(place, draw):
    """A region that the robot is not in."""
    x = SPACING * (place + PLACES // 3) % (SPACING * PLACES)
    return Region(x, 0.0, RADIUS)


def test_places_outside_are_no_candidates(opened):
    query = opened.reference.places.observation(3)
    found = within(opened, Region(30.0, 0.0, 25.0)).rank(query, 10)
    assert sorted(m.id for m in found.matches) == [f"place/{i:04d}" for i in (1, 2, 3, 4, 5)]
    assert set(found.place_set) <= {m.id for m in found.matches} and found.matches[0].id == "place/0003"


def test_everywhere_changes_nothing(opened):
    query = opened.reference.places.observation(3)
    one, other = opened.rank(query, 10), within(opened, EVERYWHERE).rank(query, 10)
    assert [(m.id, m.probability) for m in one.matches] == [(m.id, m.probability) for m in other.matches]


def test_a_region_without_places_is_told(opened):
    with pytest.raises(Any2AnyError, match="no place in the region"):
        within(opened, Region(0.0, 500.0, 20.0))


def test_within_a_true_region_more_is_accepted_and_the_promises_hold(opened):
    whole = asked(opened, lambda place, draw: EVERYWHERE)
    right, probability, accepted = asked(opened, around)
    assert right.mean() > whole[0].mean() + 0.05 and accepted.mean() > whole[2].mean()
    assert right[accepted].mean() >= 0.9
    assert probability.mean() <= right.mean() + 0.03  # rather too low than too high


def test_in_a_region_that_is_not_true_hardly_anything_is_accepted(opened):
    _, _, accepted = asked(opened, elsewhere)
    assert accepted.mean() <= 0.05 + 0.03


def test_a_place_added_to_the_map_is_in_its_region(opened, tmp_path):
    grown = OpenedMap(tmp_path, opened.reference, Retriever(opened.reference, opened.retriever.calibration), {})
    one = opened.reference.places.observation(7).as_set(np.eye(4), "added")
    pose = np.eye(4)
    pose[1, 3] = 400.0
    grown.add_place(opened.reference.places.observation(7).as_set(pose, "added"))
    found = within(grown, Region(0.0, 400.0, 10.0)).rank(one.observation(0), 5)
    assert [m.id for m in found.matches] == ["added"]
