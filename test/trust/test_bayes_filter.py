"""Sequence evidence, against a dense filter written straight from the definition."""

import numpy as np
import pytest
from filter_evidence import CONFIG, SAME_PLACE, at, forward, pointing, road, vars_of
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.trust.bayes_filter import CUT, BayesFilter, FilterConfig


class Dense:
    """The same filter by full matrices, the slow way; every update is a step."""

    def __init__(self, poses, config):
        self.config, self.places = config, len(poses)
        self.apart = np.linalg.norm(poses[:, None, :2, 3] - poses[None, :, :2, 3], axis=2)
        nearest = np.where(np.eye(self.places, dtype=bool), np.inf, self.apart).min(axis=1)
        self.step = max(config.step * SAME_PLACE, np.median(nearest))
        self.blur = max(config.blur * SAME_PLACE, np.median(nearest) / 2)
        self.anywhere = np.array([(1 - config.unmapped) / self.places] * self.places + [config.unmapped])
        self.moved, self.jumped, self.last = 0 * self.anywhere, self.anywhere, None

    def transition(self, belief, near, far, blur):
        """Return (R + 1, R + 1): what becomes of the mass of each state."""
        matrix = np.zeros((self.places + 1, self.places + 1))
        mass = belief[:-1]
        for i in range(self.places):
            if mass[i] <= 2 * mass.min():
                matrix[i, :-1] = 1 / self.places
                continue
            off = np.array([max(near - d, d - far, 0) / blur for d in self.apart[i]])
            weight = np.where(off <= CUT, np.exp(-(off**2) / 2), 0.0)
            matrix[i] = np.append(weight, np.exp(-(CUT**2) / 2))
            matrix[i] /= matrix[i].sum()
        matrix[-1, -1] = 1
        return matrix

    def ratio(self, rows, log_posterior):
        if len(rows) == 0:
            return np.ones(self.places + 1)
        p = np.full(self.places, np.exp(log_posterior.min()))
        p[rows] = np.exp(log_posterior)
        p /= p.sum()
        best = rows[np.argmax(log_posterior)]
        mass = sum(p[r] for r in rows if self.apart[best, r] < SAME_PLACE or r == best)
        lapse = self.config.lapse
        return np.append((1 - lapse) * self.places * p + lapse, 1 / (lapse + (1 - lapse) * mass))

    def update(self, rows, log_posterior, driven):
        if driven is None:
            ring = (0.0, self.config.reach * SAME_PLACE, self.blur)
        else:
            ring = (driven, driven, np.hypot(self.blur, self.config.drift * driven))
        if self.last is not None:
            belief = self.moved * self.last**self.config.temper + self.jumped * self.last
            belief /= belief.sum()
            belief = belief @ self.transition(belief, *ring)
            jumping = belief * ([self.config.kidnap] * self.places + [self.config.comeback])
            self.moved, self.jumped = belief - jumping, jumping.sum() * self.anywhere
        self.last = self.ratio(rows, log_posterior)
        answer = (self.moved + self.jumped) * self.last
        return answer / answer.sum()


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), places=st.integers(2, 30), evidence=st.integers(0, 30), odometry=st.booleans())
def test_equals_the_dense_filter(seed, places, evidence, odometry):
    draw = np.random.default_rng(seed)
    poses = at(*draw.uniform(0, 25, size=(places, 2)))
    bayes, dense = BayesFilter(poses, SAME_PLACE), Dense(poses, CONFIG)
    for _ in range(6):
        rows = draw.permutation(places)[:evidence]
        log_posterior = draw.normal(0, 3, size=len(rows))
        driven = dense.step + draw.uniform(0, 12) if odometry else None
        heading = draw.uniform(0, 2 * np.pi)
        motion = None if driven is None else at((driven * np.cos(heading), driven * np.sin(heading)))[0]
        expected = dense.update(rows, log_posterior, driven)
        found = bayes.update(rows, log_posterior, motion)
        np.testing.assert_allclose(bayes.belief, expected, atol=1e-12)
        np.testing.assert_allclose(np.exp(found.log_posterior), expected[rows], atol=1e-12)
        assert found.unmapped == pytest.approx(expected[-1], abs=1e-12)
        assert expected[found.best] == pytest.approx(expected[:-1].max(), abs=1e-12)
        near = dense.apart[found.best] <= SAME_PLACE
        assert found.probability == pytest.approx(expected[:-1][near].sum(), abs=1e-12)
        assert bayes.belief.sum() == pytest.approx(1.0) and (bayes.belief >= 0).all()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), support=st.integers(1, 20))
def test_following_fewer_places_errs_by_no_more_than_the_mass_of_the_others(seed, support):
    draw = np.random.default_rng(seed)
    poses, p = road(40), draw.normal(0, 3, size=40)
    exact, sparse = (BayesFilter(poses, SAME_PLACE, FilterConfig(support=n)) for n in (40, support))
    for bayes in (exact, sparse):
        bayes.update(np.arange(40), p, None)  # the first view: remembered as it is
    dropped = np.sort(exact.belief[:-1])[: 40 - support].sum()
    for bayes in (exact, sparse):
        bayes.update([], [], forward(3.0))
    assert np.abs(exact.belief - sparse.belief).sum() / 2 <= dropped + 1e-12


def test_the_first_answer_is_the_evidence_s_own_but_for_lapses():
    config = FilterConfig(lapse=1e-3, unmapped=1e-3, kidnap=1e-4)
    bayes = BayesFilter(road(50, apart=10.0), SAME_PLACE, config)
    rows, log_posterior = pointing(7, 0.6)
    found = bayes.update(rows, log_posterior, forward(30.0))
    np.testing.assert_allclose(found.log_posterior, log_posterior, atol=0.15)
    assert found.best == 7 and found.probability == pytest.approx(0.6, abs=0.01)


def test_the_odometry_decides_between_two_places_alike():
    """Rows 12 and 32 look the same; only 12 is where the robot can have come to. Whichever way it faces."""
    p = np.full(50, 1e-4)
    p[[12, 32]] = 0.5, 0.5 - 1e-3
    p[32] += 2e-3  # alone, the wrong one would win
    for angle in (0.0, 2.0):
        bayes = BayesFilter(road(50), SAME_PLACE)
        bayes.update(*pointing(2), None)
        turned = forward(0.0) if angle == 0 else at((10 * np.cos(angle), 10 * np.sin(angle)))[0]
        found = bayes.update(np.arange(50), np.log(p), forward(10.0) if angle == 0 else turned)
        assert found.best == 12 and found.probability > 0.8
    assert np.argmax(p) == 32


def test_standing_still_makes_nobody_surer():
    """One view, seen a hundred times, is worth what it was worth the first time."""
    bayes = BayesFilter(road(200), SAME_PLACE)
    p = np.full(200, 1e-4)
    p[50], p[150] = 0.6, 0.3
    seen = [bayes.update(np.arange(200), np.log(p), np.eye(4)) for _ in range(100)]
    assert seen[0].best == 50
    assert max(f.probability for f in seen) <= seen[0].probability + 1e-9


@pytest.mark.parametrize(("motion", "queries"), [(forward(1.0), 5), (None, 5), (forward(0.0), 5 * CONFIG.patience)])
def test_evidence_of_the_present_wins_over_any_past(motion, queries):
    """Also where the robot was carried, and its odometry says that it stands."""
    bayes = BayesFilter(road(300), SAME_PLACE)
    for i in range(100):
        bayes.update(*pointing(100 + i % 3, places=300), forward(1.0))
    taken = next(i for i in range(1, 100) if bayes.update(*pointing(250, places=300), motion).best == 250)
    assert taken < queries


def test_without_sensors_certainty_fades_and_follows_the_motion():
    bayes = BayesFilter(road(300), SAME_PLACE)
    for i in range(5):
        sure = bayes.update(*pointing(100 + i, places=300), forward(1.0)).probability
    faded = [bayes.update([], [], forward(2.0)).probability for _ in range(100)]
    assert sure > 0.9 and (np.diff(faded[:5]) < 0).all() and faded[-1] < 0.1
    assert 0.01 < bayes.update([], [], None).unmapped <= CONFIG.unmapped  # silence is no sign of being unmapped


def test_flat_evidence_of_the_best_few_stays_flat():
    """Who is listed is no better than who is not, when all scores are the same."""
    bayes = BayesFilter(road(1000), SAME_PLACE)
    for _ in range(3):
        found = bayes.update(np.arange(100), np.zeros(100), forward(1.0))
        assert found.probability < 0.05


def test_what_the_calibration_finds_unlikely_is_believed_less_and_the_robot_is_rather_unmapped():
    answers = []
    for probability in (np.nan, 0.9, 0.5, 0.05):
        bayes = BayesFilter(road(50), SAME_PLACE)
        for i in range(4):
            found = bayes.update(*pointing(10 + i), forward(1.0), probability)
        answers.append(found)
    assert answers[0].probability == pytest.approx(answers[1].probability, abs=0.05)
    assert answers[1].probability > answers[2].probability > answers[3].probability
    assert answers[1].unmapped < answers[2].unmapped < answers[3].unmapped and answers[3].unmapped > 0.9


def test_a_drive_off_the_map_is_no_way_to_another_place():
    """500 m by odometry, on a road of 50: the robot has left, until evidence says otherwise."""
    bayes = BayesFilter(road(50), SAME_PLACE)
    for i in range(5):
        before = bayes.update(*pointing(20 + i), forward(1.0))
    assert before.unmapped < 0.1 and bayes.update([], [], forward(500.0)).unmapped > 0.8
    back = [bayes.update(*pointing(30 + i), forward(1.0)) for i in range(5)]
    assert back[-1].best == 34 and back[-1].probability > 0.7


def test_reset_forgets_and_added_places_are_found():
    bayes, fresh = (BayesFilter(road(50), SAME_PLACE) for _ in range(2))
    for i in range(5):
        bayes.update(*pointing(i), forward(1.0))
    bayes.reset()
    assert vars_of(bayes.update(*pointing(30), forward(1.0))) == vars_of(fresh.update(*pointing(30), forward(1.0)))
    bayes.add(at((60.0, 0.0), (61.0, 0.0)))
    assert bayes.belief.shape == (53,) and bayes.belief[50:52].sum() == 0
    for _ in range(3):
        found = bayes.update(*pointing(51, places=52), None)
    assert len(bayes) == 52 and found.best == 51 and found.probability > 0.8


def test_motion_short_of_a_step_adds_up():
    """Ten looks on the way to the next place are one step; each of them is answered."""
    short, long = (BayesFilter(road(100, apart=2.0), SAME_PLACE, FilterConfig(patience=100)) for _ in range(2))
    for bayes in (short, long):
        bayes.update(*pointing(20, places=100), forward(5.0))
    for _ in range(9):
        assert short.update(*pointing(20, places=100), forward(0.21)).best == 20
    found = [b.update(*pointing(21, places=100), forward(d)) for b, d in ((short, 0.21), (long, 2.1))]
    np.testing.assert_allclose(short.belief, long.belief, atol=1e-9)
    assert found[0].best == found[1].best == 21


def test_a_robot_that_crawls_is_followed():
    """3 cm between two queries: the steps are long in coming, and come."""
    bayes = BayesFilter(road(60), SAME_PLACE)
    for i in range(800):
        found = bayes.update(*pointing(5 + round(0.03 * i), 0.7, places=60), forward(0.03))
    assert abs(found.best - 29) <= 1 and found.probability > 0.8
