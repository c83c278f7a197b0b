"""Sequence evidence on simulated drives; benchmarks/sequence.py prints more of them."""

from time import perf_counter

import numpy as np
from filter_evidence import CONFIG, SAME_PLACE

from any2any_ros.trust.bayes_filter import BayesFilter
from benchmarks import sequence
from benchmarks.sequence import World, drive, quality, recovery, run

HARD = World(places=500, strength=3.5, alias_rate=0.0)
TEMPERATURE = 4.0  # near what calibrated(HARD, seed) finds


def test_the_past_sharpens_imperfect_evidence():
    frames = list(drive(HARD, 200, 11))
    alone = quality([sequence.unfiltered(HARD, frame, TEMPERATURE) for frame in frames])
    assert 0.6 < alone["R@1"] < 0.8, "the simulation is not what this test is about"
    for odometry in (True, False):
        found = quality(run(HARD, frames, TEMPERATURE, CONFIG, odometry))
        assert found["R@1"] > alone["R@1"] + 0.1
        assert found["log likelihood"] > alone["log likelihood"] + 0.4
        assert found["mean probability"] < found["R@1"] + 0.03, "surer than right"


def test_a_kidnapped_robot_recovers_within_five_keyframes():
    frames = list(drive(HARD, 102 * 12, 12, kidnap_every=12))
    answers = run(HARD, frames, TEMPERATURE, CONFIG)
    took = np.array(recovery(frames, answers))
    assert len(took) >= 100
    assert np.median(took) <= 3 and np.mean(took <= 5) >= 0.9
    assert sequence.deceived(frames, answers) <= 0.05  # and hardly anybody who has not recovered is hidden


def test_evidence_that_is_wrong_again_and_again_is_not_believed_more_than_it_is_right():
    """A look-alike is liked better for ten frames in a row, every twenty frames or so."""
    world = World(places=500, strength=4.0, alias_rate=0.05)
    frames = [frame for seed in range(3) for frame in drive(world, 150, 20 + seed)]
    temperature = sequence.calibrated(world, 19)
    alone = quality([sequence.unfiltered(world, frame, temperature) for frame in frames])
    found = quality(run(world, frames, temperature, CONFIG))
    assert found["R@1"] >= alone["R@1"]
    assert found["mean probability"] <= found["R@1"] + 0.08 and found["ECE"] <= alone["ECE"] + 0.03
    assert found["right of these"] >= alone["right of these"] - 0.03


def test_a_robot_that_leaves_the_map_says_so_and_comes_back():
    unmapped, probability = [], []
    for seed in range(8):
        frames = list(drive(HARD, 80, 30 + seed, outside=(30, 60)))
        answers = run(HARD, frames, TEMPERATURE, CONFIG)
        unmapped.append([a.unmapped for a in answers])
        probability.append([a.probability for a in answers])
    unmapped, probability = np.mean(unmapped, axis=0), np.mean(probability, axis=0)
    assert unmapped[29] < 0.1 and unmapped[35] > 0.45 and unmapped[59] > 0.7
    assert probability[29] > 0.8 and probability[35] < 0.4
    assert unmapped[70] < 0.2 and probability[70] > 0.7


def test_an_update_of_ten_thousand_places_is_quick():
    """2 ms by docs/sequence.md; a busy machine is given room."""
    world = World(places=10_000)
    bayes, took = BayesFilter(world.poses(), SAME_PLACE), []
    for frame in drive(world, 15, 1):
        rows = np.argsort(-frame.scores)[:1000]
        start = perf_counter()
        bayes.update(rows, 4 * frame.scores[rows], frame.motion)
        took.append(perf_counter() - start)
    assert min(took[5:]) < 0.01
