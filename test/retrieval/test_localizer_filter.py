"""The Bayes filter of a map in use: twins are told apart by the way there, and a jump of the clock forgets it."""

import numpy as np
import pytest

from any2any_ros.calibration.fitting import calibrate
from any2any_ros.calibration.task import Task
from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.observation import Embedding, Observation, ObservationSet
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.trust.confidence import ConfidenceConfig

MS = 1_000_000


@pytest.fixture
def road(tmp_path):
    """A road of thirty places, 5 m apart; the beacon tells them apart, but not the two halves of the road."""
    draw = np.random.default_rng(0)
    half = draw.normal(size=(15, 12))
    beacons = np.tile(half / np.linalg.norm(half, axis=1, keepdims=True), (2, 1)).astype(np.float32)
    poses = np.tile(np.eye(4), (30, 1, 1))
    poses[:, 0, 3] = 5.0 * np.arange(30)
    places = ObservationSet({"beacon": beacons}, poses, tuple(str(i) for i in range(30)))
    reference = ReferenceMap(places, {"beacon": EncoderRecord("beacon", "beacon:1", 12)}, "road")
    reference_map.save(reference, tmp_path)
    noisy = ObservationSet({"beacon": beacons + 0.1 * draw.normal(size=beacons.shape)}, poses, places.ids)
    right, folds = np.eye(30, dtype=bool), np.arange(30) % 3
    promises = ConfidenceConfig(min_queries=20)
    task = Task(noisy, right, folds=folds, same_place=2.0)
    calibration.save(calibrate(reference, task, promises=promises), tmp_path)
    return tmp_path, beacons


def follow(road, kind, seen, odometry=True):
    """Return the rankings of a robot that sees these places one after another, a second apart."""
    folder, beacons = road
    where = {(i + 1) * 1000 * MS: place for i, place in enumerate(seen)}

    def at(stamp_ns):
        pose = np.eye(4)
        pose[0, 3] = 5.0 * where[stamp_ns]
        return pose if odometry else None

    localizer = Localizer(AliveConfig(), RetrievalConfig(k=3, filter=kind), 2.0, at)
    localizer.open(folder, lambda modalities: {})
    found = []
    for stamp, place in where.items():
        found += localizer.add(Embedding("beacon", beacons[place], stamp, encoder="beacon:1"), stamp)
    assert len(found) == len(seen)
    return found


def test_without_a_filter_a_twin_stays_a_twin(road):
    rankings = follow(road, "none", range(12, 20))
    assert all(r.probability < 0.8 and {m.id for m in r.matches[:2]} == {str(p), str((p + 15) % 30)}
               for p, r in zip(range(12, 20), rankings, strict=True))  # fmt: skip


def test_the_filter_tells_twins_apart_by_the_way_there(road):
    """Over the seam of the halves only one of the twins goes on; the past is remembered, the present not doubted."""
    plain, followed = follow(road, "none", range(10, 22)), follow(road, "bayes", range(10, 22))
    assert [r.matches[0].id for r in followed[6:]] == [str(p) for p in range(16, 22)]
    assert followed[-1].probability > plain[-1].probability + 0.05
    for one, other in zip(plain, followed, strict=True):
        assert other.place_set == one.place_set and other.accepted <= one.accepted
        assert [m.probability for m in other.matches] == sorted((m.probability for m in other.matches), reverse=True)


def test_a_kidnapped_robot_is_found_again(road):
    """Carried off without its odometry's knowing; the filter goes with what it sees now within five places."""
    found = follow(road, "bayes", [10, 11, 12, 13, 14, 15, 16, 17, 3, 4, 5, 6, 7], odometry=False)
    assert found[7].matches[0].id == "17"
    assert int(found[-1].matches[0].id) % 15 == 7


def test_a_recording_that_begins_again_forgets_the_belief(road):
    folder, beacons = road
    localizer = Localizer(AliveConfig(), RetrievalConfig(k=3, filter="bayes"), 2.0)
    localizer.open(folder, lambda modalities: {})
    for i in range(6):
        localizer.add(Embedding("beacon", beacons[10 + i], (i + 100) * 1000 * MS, encoder="beacon:1"), i * 1000 * MS)
    assert localizer.map.belief.belief.max() > 0.5
    localizer.add(Embedding("beacon", beacons[3], 1000 * MS, encoder="beacon:1"), 6000 * MS)
    fresh = Localizer(AliveConfig(), RetrievalConfig(k=3, filter="bayes"), 2.0)
    fresh.open(folder, lambda modalities: {})
    fresh.add(Embedding("beacon", beacons[3], 1000 * MS, encoder="beacon:1"), 6000 * MS)
    np.testing.assert_array_equal(localizer.map.belief.belief, fresh.map.belief.belief)


def test_requests_leave_the_belief_alone_and_a_jump_forgets_it(road):
    folder, beacons = road
    localizer = Localizer(AliveConfig(), RetrievalConfig(k=3, filter="bayes"), 2.0)
    localizer.open(folder, lambda modalities: {})
    for i in range(6):
        stamp = (i + 1) * 1000 * MS
        localizer.add(Embedding("beacon", beacons[10 + i], stamp, encoder="beacon:1"), stamp)
    before = localizer.map.belief.belief
    localizer.rank(Observation({"beacon": beacons[3]}))
    np.testing.assert_array_equal(localizer.map.belief.belief, before)
    localizer.forget()
    assert localizer.map.belief.belief.max() < 0.5 and localizer.assembler.streams == {}
    localizer.add_place(ObservationSet({"beacon": beacons[:1]}, np.eye(4)[None], ("new",)))
    assert len(localizer.map.belief) == 31
