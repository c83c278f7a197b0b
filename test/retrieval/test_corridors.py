"""Two identical corridors of a simulated building: "one of these two", and never one of them with 0.99.

The building is a long hall of rooms that all differ, and in it, far apart, two copies of one corridor. A 2-D laser is
ray-cast through it, on a lap that makes the map, one that calibrates and one that asks.
"""

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.calibration.fitting import calibrate
from any2any_ros.calibration.task import Task
from any2any_ros.data import splits
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.samples import Scan
from any2any_ros.trust.confidence import ConfidenceConfig

BEAMS, REACH, STEP, HIT = 240, 25.0, 0.5, 1.5
LENGTH, TWIN = 220.0, 40.0
TWINS = ((30.0, 70.0), (130.0, 170.0))  # of the building; where the corridors begin and end, metres


def walls():
    """Return segments (N, 2, 2): rooms with doors on both sides of the way, drawn at random; the corridors' twice."""
    draw = np.random.default_rng(4)
    found = []
    x = 0.0
    while x < LENGTH:
        width = draw.uniform(1.5, 4.0)
        # Whole partitions, so that nothing of the rooms is seen from a corridor but its two ends, which are shut off.
        if not any(start - 4 < x + width and x < end for start, end in TWINS):
            found += _room(x, width, draw)
        x += width
    for start, _ in TWINS:
        twin = np.random.default_rng(9)
        for offset in np.arange(0.0, TWIN, 2.0):
            found += _room(start + offset, 2.0, twin)
    for start, end in TWINS:
        found += [((edge, -9.0), (edge, -0.4)) for edge in (start, end)]
        found += [((edge, 0.4), (edge, 9.0)) for edge in (start, end)]
    found += [((0.0, -9.0), (0.0, 9.0)), ((LENGTH, -9.0), (LENGTH, 9.0))]
    return np.array(found)


def _room(x, width, draw):
    """Return the walls of one room on each side: how deep it is, and how wide its door."""
    segments = []
    for side in (-1, 1):
        depth, door = draw.uniform(1.2, 6.0), draw.uniform(0.2, 0.9) * width
        segments += [((x, side * 1.0), (x, side * depth)), ((x, side * depth), (x + width, side * depth))]
        segments += [((x + door, side * 1.0), (x + width, side * 1.0))]
    return segments


def scan(position, heading, segments, draw):
    """Return what a laser sees from a position (2,): the nearest wall along each beam."""
    angles = heading + np.linspace(-np.pi, np.pi, BEAMS, endpoint=False)
    ray = np.column_stack([np.cos(angles), np.sin(angles)])
    start, along = segments[:, 0] - position, segments[:, 1] - segments[:, 0]
    cross = ray[:, None, 0] * along[None, :, 1] - ray[:, None, 1] * along[None, :, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (start[:, 0] * along[:, 1] - start[:, 1] * along[:, 0]) / cross
        share = (start[None, :, 0] * ray[:, None, 1] - start[None, :, 1] * ray[:, None, 0]) / cross
    met = (distance > 0) & (share >= 0) & (share <= 1)
    ranges = np.where(met, distance, np.inf).min(axis=1) + draw.normal(0, 0.01, BEAMS)
    return Scan(ranges.astype(np.float32), -np.pi, 2 * np.pi / BEAMS, REACH)


def lap(seed, encoder, segments):
    draw = np.random.default_rng(seed)
    x = np.arange(2.0, LENGTH - 2.0, STEP) + draw.uniform(-0.1, 0.1)
    positions = np.column_stack([x, draw.uniform(-0.15, 0.15, len(x))])
    vectors = [encoder.encode(scan(p, draw.uniform(-0.1, 0.1), segments, draw)) for p in positions]
    poses = np.tile(np.eye(4), (len(x), 1, 1))
    poses[:, :2, 3] = positions
    return ObservationSet({"laser_scan": np.array(vectors)}, poses, tuple(f"{seed}/{i}" for i in range(len(x))))


@pytest.fixture(scope="module")
def building():
    """Return the calibrated retriever and the lap that asks; places take turns in calibration and test."""
    encoder, segments = encoders.build("laser_scan"), walls()
    mapped, calibrating, asking = (lap(seed, encoder, segments) for seed in (1, 2, 3))
    turn = splits.blocks(calibrating.poses, 5.0, 2)
    calibrating, asking = calibrating.take(turn == 0), asking.take(splits.blocks(asking.poses, 5.0, 2) == 1)
    record = EncoderRecord("laser_scan", encoder.fingerprint, encoder.dimension)
    reference = ReferenceMap(mapped, {"laser_scan": record}, "building")
    right = splits.positives(calibrating.poses, mapped.poses, HIT)
    hidden = splits.positives(calibrating.poses, mapped.poses, 2 * HIT)
    folds = splits.blocks(calibrating.poses, 5.0, 4)
    promises = ConfidenceConfig(min_queries=30)
    task = Task(calibrating, right, hidden=hidden, folds=folds, same_place=HIT)
    return Retriever(reference, calibrate(reference, task, promises=promises)), asking


def inside_a_twin(x):
    return any(start + 2 < x < end - 2 for start, end in TWINS)


def rankings(building, where):
    retriever, asking = building
    x = asking.poses[:, 0, 3]
    rows = [i for i in range(len(asking)) if where(x[i])]
    assert len(rows) >= 20
    return [(x[i], retriever.rank(asking.observation(i))) for i in rows]


def places(building, ranking):
    """Return where the references of the place set lie (x)."""
    reference = building[0].places
    return np.array([reference.poses[reference.ids.index(name), 0, 3] for name in ranking.place_set])


def test_in_a_corridor_the_answer_is_one_of_these_two(building):
    """The place set holds the true place and its twin, and says that it is spread."""
    apart = TWINS[1][0] - TWINS[0][0]
    both, ambiguous = [], []
    for x, ranking in rankings(building, inside_a_twin):
        twin = x + apart if x < TWINS[0][1] else x - apart
        inside = places(building, ranking)
        both.append(all((np.abs(inside - place) < HIT).any() for place in (x, twin)))
        ambiguous.append(ranking.ambiguous)
    assert np.mean(both) >= 0.6 and np.mean(ambiguous) >= 0.65


def test_in_a_corridor_it_is_a_coin_toss_and_says_so(building):
    found = rankings(building, inside_a_twin)
    right = [abs(r.matches[0].pose[0, 3] - x) < HIT for x, r in found]
    said = np.array([r.probability for _, r in found])
    assert 0.3 < np.mean(right) < 0.7  # the twins cannot be told apart
    assert said.mean() == pytest.approx(np.mean(right), abs=0.15)
    assert said.max() < 0.97 and np.mean(said > 0.9) < 0.1
    assert np.mean([r.accepted for _, r in found]) < 0.05


def test_elsewhere_it_is_sure_and_right(building):
    found = rankings(building, lambda x: all(not start - 6 < x < end + 6 for start, end in TWINS))
    assert np.mean([abs(r.matches[0].pose[0, 3] - x) < HIT for x, r in found]) > 0.95
    assert np.mean([r.probability for _, r in found]) > 0.8
    assert np.mean([r.ambiguous for _, r in found]) < 0.1
    assert np.mean([r.accepted for _, r in found]) > 0.1
