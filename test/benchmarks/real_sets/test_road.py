"""The road: answers come from exactly the references that are allowed, and times are counted where they belong."""

import time

import numpy as np
import pytest
import tiny_real_sets
from real_sets import kitti_bev, laser2d, methods, pictures, road, sevenscenes
from real_sets.real_set import Options

from any2any_ros import encoders
from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import silent


def by_hand(real, encoder):
    """Return the first answer to each query, by comparing the vectors of all that is allowed."""
    drive = real.recording.drive
    frames = laser2d.keyframes(drive.poses, real.keyframe)
    vectors = np.array([encoder.encode(drive.sample(encoder.modality, int(i))) for i in frames])
    similarity = vectors[real.queries] @ vectors[real.references].T
    return np.where(real.allowed, similarity, -np.inf).argmax(axis=1)


@pytest.mark.parametrize(
    ("write", "kind", "plug"),
    [
        (lambda folder: tiny_real_sets.laser_log(folder, tiny_real_sets.ring(150)), laser2d, "laser_scan"),  # it grows
        (lambda folder: tiny_real_sets.kitti_bev(folder, tiny_real_sets.ring(60)), kitti_bev, "lidar"),
        (tiny_real_sets.picture_pairs, pictures, "camera"),
        (tiny_real_sets.sevenscenes, sevenscenes, "camera"),
    ],
    ids=["laser2d", "kitti_bev", "vpr", "sevenscenes"],
)
def test_the_first_answer_is_the_most_similar_of_those_allowed(tmp_path, write, kind, plug):
    real = kind.read(write(tmp_path), Options())
    answers = methods.of_encoder(plug).answer(real, silent)
    np.testing.assert_array_equal(answers.best[:, 0], by_hand(real, encoders.build(plug)))
    for best, allowed in zip(answers.best, real.allowed, strict=True):
        kept = best[best >= 0]
        assert allowed[kept].all() and len(set(kept)) == len(kept) == min(methods.TOP, allowed.sum())
    assert (answers.milliseconds > 0).all() and len(answers.milliseconds) == len(real.queries)


def test_a_map_grows_only_while_what_was_allowed_stays(tmp_path):
    real = kitti_bev.read(tiny_real_sets.kitti_bev(tmp_path, tiny_real_sets.ring(60)))
    built = {"lidar": encoders.build("lidar")}
    growing = road.GrowingMap(real, real.recording.observe(built, 0.0), built)
    few, more, other = (np.isin(np.arange(len(real.references)), rows) for rows in ([0, 2], [0, 2, 5], [2, 5]))
    first = growing.of(few)
    assert growing.of(few) is first and growing.of(more) is first and len(first.places) == 3
    again = growing.of(other)
    assert again is not first and [real.recording.drive.ids()[i] for i in (2, 5)] == list(again.places.ids)


def test_a_frame_that_is_refused_is_no_answer_and_has_none(tmp_path):
    real = kitti_bev.read(tiny_real_sets.kitti_bev(tmp_path, tiny_real_sets.ring(60)))
    empty = {int(real.queries[0]), int(real.references[0])}
    read = real.recording.drive.readers["lidar"]
    frame_of = {int(row): i for i, row in enumerate(real.recording.drive.rows)}
    real.recording.drive.readers["lidar"] = lambda row: read(row)[: 0 if frame_of[row] in empty else None]
    answers = methods.of_encoder("lidar:min_points=1").answer(real, silent)
    assert (answers.best[0] == -1).all() and not (answers.best == 0).any() and (answers.best[1:, 0] >= 0).all()
    assert np.isnan(answers.poses[0]).all() and "2 of" in answers.note


class Slow:
    """An encoder whose n-th sample takes n hundredths of a second."""

    modality, dimension = "lidar", 2

    def gather(self, sample, stamp_ns):
        return sample

    def encode(self, sample):
        time.sleep(0.01 * sample)
        if sample == 2:
            raise Any2AnyError("Cannot use it", "it is the second", "None")
        return np.ones(2)


def test_the_time_of_each_frame_is_its_own():
    clock = road.Clocked(Slow())
    for sample in (1, 2, 0):
        gathered = clock.gather(sample, 0)
        try:
            clock.encode(gathered)
        except Any2AnyError:
            assert sample == 2
    spent = clock.of_rows(3)
    assert spent[0] >= 0.01 and spent[1] >= 0.02 and spent[2] < spent[0] and clock.dimension == 2
    np.testing.assert_array_equal(clock.of_rows(4), np.full(4, np.median(spent)))
    assert (road.Clocked(Slow()).of_rows(2) == 0).all()
