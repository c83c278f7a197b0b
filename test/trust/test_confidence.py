"""The numbers a robot acts on, kept on held-out queries that are drawn from a known truth."""

import numpy as np
import pytest

from any2any_ros.fusion.any2any import conformal_quantile
from any2any_ros.metrics import expected_calibration_error
from any2any_ros.trust import confidence_fitting
from any2any_ros.trust.confidence import Candidates, Confidence, ConfidenceConfig, Event
from any2any_ros.trust.confidence_fitting import fit

REFERENCES = 30


def drawn(count, seed=0, pattern="lidar", sharpness=3.0, scale=1.0, shift=0.0):
    """Return queries whose one right reference is drawn from softmax(sharpness * scores); four folds."""
    draw, events = np.random.default_rng(seed), []
    for _ in range(count):
        scores = -np.sort(-draw.normal(size=REFERENCES))
        p = np.exp(sharpness * scores)
        right = np.arange(REFERENCES) == draw.choice(REFERENCES, p=p / p.sum())
        near = np.eye(5, REFERENCES, dtype=bool)
        events.append(Event(pattern, Candidates(scale * scores + shift, near), right, len(events) % 4))
    return events


def visits(count, seed=0, outside=True, familiar=1.0):
    """Return queries of a map whose sensor finds its own place alike: inside of the map, and with it hidden."""
    draw, events = np.random.default_rng(seed), []
    for i in range(count):
        for mapped in (True, False) if outside else (True,):
            theta = draw.normal(0, 0.1, REFERENCES)
            theta[0] += 0.6 * familiar * mapped
            order = np.argsort(-theta)
            sorted_ = theta[order]
            alike, lead = sorted_[:1, None], np.array([[sorted_[0] - sorted_[1]]])
            found = Candidates(10 * sorted_, np.eye(1, REFERENCES, dtype=bool), alike, lead)
            events.append(Event("lidar", found, (order == 0) & mapped, i % 4, mapped))
    return events


def probabilities(fitted, events):
    p = np.array([fitted.probability(e.candidates, [e.pattern])[0] for e in events])
    return p, np.array([e.right[0] for e in events])


def covered(fitted, events):
    return np.mean([e.right[: fitted.place_set(e.candidates, e.pattern.split("+"))].any() for e in events])


CONFIG = ConfidenceConfig(min_queries=50)


@pytest.mark.parametrize("sharpness", [0.5, 3.0, 12.0])
def test_the_temperature_of_the_scores_is_found(sharpness):
    assert fit(drawn(2000, sharpness=sharpness), CONFIG).temperature == pytest.approx(sharpness, rel=0.15)


@pytest.mark.parametrize(("sharpness", "apart"), [(1.0, 0.02), (3.0, 0.1)])
def test_probabilities_hold_on_queries_not_seen(sharpness, apart):
    fitted = fit(drawn(1500, 0, sharpness=sharpness), CONFIG)
    p, right = probabilities(fitted, drawn(3000, 1, sharpness=sharpness))
    assert expected_calibration_error(p, right) < 0.04
    assert p[right].mean() > p[~right].mean() + apart  # it tells them apart, and is not the mean of all


def test_probabilities_hold_for_scores_that_are_no_posterior():
    """Here the best score says nothing at all of the truth, which is right six times in ten."""
    draw, events = np.random.default_rng(0), []
    for _ in range(2000):
        scores = -(np.sort(-draw.normal(size=REFERENCES)) ** 3)
        right = np.arange(REFERENCES) == (0 if draw.random() < 0.6 else draw.integers(1, REFERENCES))
        events.append(Event("lidar", Candidates(scores, np.eye(1, REFERENCES, dtype=bool)), right))
    p, right = probabilities(fit(events[:1000], CONFIG), events[1000:])
    assert expected_calibration_error(p, right) < 0.06


def test_no_finite_sample_shows_certainty():
    always = [Event(e.pattern, e.candidates, np.arange(REFERENCES) == 0) for e in drawn(60)]
    p, _ = probabilities(fit(always, CONFIG), always)
    assert p.min() > 0.9 and p.max() <= 1 - 1 / 62


def test_more_evidence_is_never_less_probable():
    fitted = fit(drawn(300), CONFIG)
    events = drawn(300, 5)
    evidence = np.array([fitted.evidence(e.candidates, ["lidar"])[0] for e in events])
    p, _ = probabilities(fitted, events)
    assert (np.diff(p[np.argsort(evidence)]) >= 0).all()


@pytest.mark.parametrize("miss", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("count", [60, 400])
def test_place_sets_hold_the_truth_as_often_as_promised(miss, count):
    """Marginally: over calibration sets and queries alike."""
    config = ConfidenceConfig(miss=miss, min_queries=50)
    found = [covered(fit(drawn(count, s), config), drawn(100, 1000 + s)) for s in range(12)]
    binomial = np.sqrt(miss * (1 - miss) * (1 / 1200 + 1 / (12 * count)))
    assert np.mean(found) >= 1 - miss - 3 * binomial
    # And they are not simply large: the promise is kept, not outdone.
    assert np.mean(found) <= 1 - miss + 3 * binomial + 2 / count


def test_place_sets_are_the_references_from_a_posterior_on():
    events = drawn(200)
    fitted = fit(events, CONFIG)
    best = []
    for e in events:
        tempered = fitted.temperature * e.candidates.scores
        posterior = tempered - np.log(np.exp(tempered).sum())
        best.append(-posterior[e.right].max())
        level = np.searchsorted(fitted.levels["lidar"], fitted.evidence(e.candidates, ["lidar"])[0], side="right")
        worst = conformal_quantile(fitted.nonconformity[f"lidar/{level}"], 0.1)
        assert fitted.place_set(e.candidates, ["lidar"]) == (-posterior <= worst).sum()
    stored = [fitted.nonconformity[f"lidar/{level}"] for level in range(3)]
    known = [scores[np.isfinite(scores)] for scores in stored]
    np.testing.assert_allclose(np.sort(np.concatenate(known)), np.sort(best))
    assert {len(scores) for scores in known} <= {66, 67}


def test_place_sets_keep_their_coverage_where_the_evidence_is_weak():
    """Half of the queries are easy; without levels of evidence, the easy ones would pay for the others."""
    easy, hard = drawn(300, 0, sharpness=15.0, scale=5.0), drawn(300, 1, sharpness=1.5, scale=0.5)
    fitted = fit(easy + hard, CONFIG)
    assert covered(fitted, drawn(500, 3, sharpness=1.5, scale=0.5)) >= 0.85
    assert covered(fitted, drawn(500, 2, sharpness=15.0, scale=5.0)) >= 0.85


def test_a_set_may_be_asked_for_with_another_coverage():
    fitted, e = fit(drawn(400), CONFIG), drawn(1, 9)[0]
    sizes = [fitted.place_set(e.candidates, ["lidar"], miss) for miss in (0.3, 0.1, 0.02)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]
    assert sizes[1] == fitted.place_set(e.candidates, ["lidar"])


def test_too_few_queries_for_the_coverage_put_everything_into_the_set():
    fitted = fit(drawn(5), ConfidenceConfig(miss=0.05))
    assert fitted.place_set(drawn(1, 9)[0].candidates, ["lidar"]) == REFERENCES


def test_a_truth_beyond_the_candidates_is_a_miss_that_counts():
    events = drawn(300)
    hidden = [Event(e.pattern, e.candidates, np.zeros_like(e.right)) for e in events[:60]]  # a fifth
    fitted = fit(hidden + events[60:], ConfidenceConfig(miss=0.1, min_queries=50))
    assert fitted.place_set(events[-1].candidates, ["lidar"]) == REFERENCES  # 0.9 cannot be had
    assert fitted.place_set(events[-1].candidates, ["lidar"], 0.3) < REFERENCES


def test_accepted_answers_are_as_precise_as_promised():
    """Of many calibrations, no more than `risk` may mislead; the truth here is known without sampling error."""
    config = ConfidenceConfig(precision=0.8, risk=0.2, min_queries=50)
    test = drawn(1500, 999, sharpness=4.0)
    right = np.array([e.right[0] for e in test])
    misled, used = [], []
    for seed in range(40):
        fitted = fit(drawn(200, seed, sharpness=4.0), config)
        accepted = np.array([fitted.accepts(e.candidates, ["lidar"]) for e in test])
        used.append(accepted.mean())
        misled.append(accepted.any() and right[accepted].mean() < 0.8)
    assert np.mean(misled) <= 0.2 + 2 * np.sqrt(0.2 * 0.8 / 40)
    assert np.mean(used) > 0.1  # abstaining always would be no art


def test_outside_of_the_map_hardly_anything_is_accepted():
    """Of many calibrations, no more than `risk` let more than 5 % through; inside most is accepted."""
    outside, inside = [], []
    for seed in range(20):
        fitted = fit(visits(150, seed), CONFIG)
        test = visits(300, 1000 + seed)
        accepted = np.array([fitted.accepts(e.candidates, ["lidar"]) for e in test])
        mapped = np.array([e.mapped for e in test])
        outside.append(accepted[~mapped].mean())
        inside.append(accepted[mapped].mean())
    assert np.mean(np.array(outside) > 0.05) <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 20)
    assert np.mean(inside) > 0.5


def test_without_the_hidden_places_a_robot_off_the_map_would_be_believed():
    """It is the hidden places that teach it: the best of the map always looks like something."""
    fitted = fit(visits(150, outside=False), CONFIG)
    hidden = [e for e in visits(300, 5) if not e.mapped]
    assert np.mean([fitted.accepts(e.candidates, ["lidar"]) for e in hidden]) > 0.05


def test_a_sensor_that_finds_nothing_familiar_lowers_the_probability():
    fitted = fit(visits(200), CONFIG)
    hidden = [e for e in visits(200, 3) if not e.mapped]
    known = [e for e in visits(200, 3) if e.mapped]
    assert probabilities(fitted, hidden)[0].mean() < probabilities(fitted, known)[0].mean() - 0.2


def test_unmapped_places_count_as_often_as_the_robot_is_at_them():
    found = confidence_fitting._event_weights(np.array([True] * 6 + [False] * 12), 0.25)
    assert found[:6].tolist() == [1.0] * 6 and found[6:].sum() / found.sum() == pytest.approx(0.25)
    assert confidence_fitting._event_weights(np.array([True] * 3), 0.25).tolist() == [1.0] * 3


def test_accepts_exactly_from_its_threshold_on():
    fitted = fit(drawn(400, sharpness=6.0), CONFIG)
    for e in drawn(100, 3, sharpness=6.0):
        evidence = fitted.evidence(e.candidates, ["lidar"], 0.5)[0]
        assert fitted.accepts(e.candidates, ["lidar"]) == (evidence >= fitted.accept_above["lidar"])


def test_nothing_is_accepted_when_nothing_reaches_the_precision():
    fitted = fit(drawn(500, sharpness=0.3), CONFIG)
    assert set(fitted.accept_above.values()) == {np.inf}
    assert not any(fitted.accepts(e.candidates, ["lidar"]) for e in drawn(200, 1, sharpness=0.3))


# --- patterns -------------------------------------------------------------------------------------------------


def mixed():
    sharp, dull = drawn(300, 0, "camera+lidar", 8.0), drawn(300, 1, "audio", 1.0)
    return sharp + dull + drawn(20, 2, "text", 2.0)


def test_each_pattern_with_enough_queries_keeps_its_own_promise():
    fitted = fit(mixed(), ConfidenceConfig(min_queries=50))
    parts = (fitted.weights, fitted.steps, fitted.accept_above, fitted.levels)
    assert all(set(part) == {"camera+lidar", "audio", "any 1", "any 2", "*"} for part in parts)
    assert {key.split("/")[0] for key in fitted.nonconformity} == set(fitted.levels)
    for pattern, sharpness in (("camera+lidar", 8.0), ("audio", 1.0)):
        held_out = drawn(1000, 7, pattern, sharpness)
        assert covered(fitted, held_out) >= 0.9 - 0.05
        p = np.array([fitted.probability(e.candidates, pattern.split("+"))[0] for e in held_out])
        assert expected_calibration_error(p, [e.right[0] for e in held_out]) < 0.08


@pytest.mark.parametrize(("pattern", "key"), [("text", "any 1"), ("never+heard", "any 2"), ("a+b+c", "*"), ("", "*")])
def test_a_rare_or_new_pattern_borrows_from_as_many_sensors_or_from_all(pattern, key):
    fitted, e = fit(mixed(), ConfidenceConfig(min_queries=50)), drawn(1, 5)[0]
    modalities = pattern.split("+") if pattern else []
    parts = (fitted.weights, fitted.steps, fitted.accept_above, fitted.levels)
    levels = {f"*/{k.split('/')[1]}": v for k, v in fitted.nonconformity.items() if k.split("/")[0] == key}
    lender = Confidence(fitted.temperature, *({"*": part[key]} for part in parts), levels)
    np.testing.assert_array_equal(fitted.probability(e.candidates, modalities), lender.probability(e.candidates, []))
    assert fitted.place_set(e.candidates, modalities) == lender.place_set(e.candidates, [])
    assert fitted.accepts(e.candidates, modalities) == lender.accepts(e.candidates, [])


def test_the_pool_is_of_all_queries():
    events = mixed()
    fitted = fit(events, ConfidenceConfig(min_queries=50))
    renamed = [Event("any", e.candidates, e.right, e.fold) for e in events]
    alone = fit(renamed, ConfidenceConfig(min_queries=100_000))
    for level in range(3):
        np.testing.assert_allclose(fitted.nonconformity[f"*/{level}"], alone.nonconformity[f"*/{level}"])
    np.testing.assert_allclose(fitted.steps["*"], alone.steps["*"])


@pytest.mark.parametrize(("scale", "shift"), [(7.0, 0.0), (1e-6, 0.0), (1.0, 1000.0)])
def test_the_unit_of_the_scores_does_not_matter(scale, shift):
    plain, moved = (fit(drawn(300, 0, **k), CONFIG) for k in ({}, {"scale": scale, "shift": shift}))
    for one, other in zip(drawn(100, 1), drawn(100, 1, scale=scale, shift=shift), strict=True):
        np.testing.assert_allclose(
            moved.probability(other.candidates, ["lidar"]), plain.probability(one.candidates, ["lidar"]), atol=1e-6
        )
        assert moved.accepts(other.candidates, ["lidar"]) == plain.accepts(one.candidates, ["lidar"])
        assert moved.place_set(other.candidates, ["lidar"]) == plain.place_set(one.candidates, ["lidar"])


@pytest.mark.filterwarnings("error")
def test_queries_without_any_right_answer_are_no_crash():
    nowhere = [Event(e.pattern, e.candidates, np.zeros_like(e.right)) for e in drawn(60)]
    fitted = fit(nowhere, CONFIG)
    assert fitted.accept_above["lidar"] == np.inf
    assert fitted.probability(nowhere[0].candidates, ["lidar"])[0] < 0.05


@pytest.mark.filterwarnings("error")
def test_one_reference_is_no_crash():
    only = [Event("lidar", Candidates(np.array([0.5]), np.ones((1, 1), bool)), np.ones(1, bool)) for _ in range(30)]
    fitted = fit(only, CONFIG)
    assert fitted.probability(only[0].candidates, ["lidar"])[0] > 0.9
    assert fitted.place_set(only[0].candidates, ["lidar"]) == 1
