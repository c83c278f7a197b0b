"""A confidence that was fitted on few streets of a drive, or on many, on streets that it has not seen."""

import numpy as np
import pytest

from any2any_ros.trust import confidence_fitting
from any2any_ros.trust.confidence import Candidates, ConfidenceConfig, Event
from any2any_ros.trust.confidence_fitting import fit

REFERENCES = 30
CONFIG = ConfidenceConfig(min_queries=50)


def covered(fitted, events):
    return np.mean([e.right[: fitted.place_set(e.candidates, ["lidar"])].any() for e in events])


def streets(seed, count, frames=10, hard=0.15):
    """Return queries of so many streets. On a hard street every answer is wrong, the truth far down the list."""
    draw, events = np.random.default_rng(seed), []
    for street in range(count):
        rank = 12 if draw.random() < hard else 0
        for _ in range(frames):
            scores = 8 * np.sort(draw.normal(size=REFERENCES))[::-1]
            right = np.arange(REFERENCES) == rank
            found = Candidates(scores, np.eye(1, REFERENCES, dtype=bool))
            events.append(Event("lidar", found, right, street % 4, True, street))
    return events


@pytest.mark.parametrize("count", [2, 4, 8, 16])
def test_place_sets_keep_their_promise_on_streets_not_seen_however_few_were(count):
    """Mean over drives. Counted as independent, the frames of 4 streets promise .9 and keep .85 or so."""
    found = [covered(fit(streets(s, count), CONFIG), streets(1000 + s, 30, 1)) for s in range(60)]
    assert np.mean(found) >= 0.9 - 0.02


def test_the_frames_of_few_streets_taken_as_independent_break_it():
    def independent(events):
        return [Event(e.pattern, e.candidates, e.right, e.fold) for e in events]

    found = [covered(fit(independent(streets(s, 4)), CONFIG), streets(1000 + s, 30, 1)) for s in range(60)]
    assert np.mean(found) < 0.9 - 0.02


def test_it_is_known_how_many_queries_are_wanted():
    promises = ConfidenceConfig(min_queries=50)
    few, enough = streets(0, 4, hard=0.0), streets(0, 20, hard=0.0)
    needed = confidence_fitting.wanted(few, promises)
    assert set(needed) == {"lidar"} and 40 < needed["lidar"] <= 100
    assert confidence_fitting.wanted(enough, promises) == {}
    both = [*few, *(Event("audio", e.candidates, e.right, e.fold, True, e.stretch) for e in enough)]
    assert set(confidence_fitting.wanted(both, promises)) == {"lidar"}


def test_the_same_queries_are_fitted_once(monkeypatch):
    """Of one sensor the groups of all keys are the same; those of two sensors are not, though they are as large."""
    groups, real = [], confidence_fitting._fit_group
    monkeypatch.setattr(confidence_fitting, "_fit_group", lambda *a: groups.append(a[0]) or real(*a))
    one = streets(0, 10)
    fitted = fit(one, CONFIG)
    assert len(groups) == 1 and {*fitted.weights} == {"*", "any 1", "lidar"}
    other = [Event("audio", e.candidates, e.right, e.fold, True, e.stretch) for e in streets(1, 10)]
    both = fit([*one, *other], CONFIG)
    assert len(groups) == 1 + 3 and {*both.weights} == {"*", "any 1", "lidar", "audio"}
    assert (both.weights["lidar"] != both.weights["audio"]).any()
