"""Five candidates of five classes: the trials are fair, ties count against, and chance is what random rankers get."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import emma_evaluation as grounding
from any2any_ros.objects.views import ObjectViews


def test_chance_is_the_mean_over_all_orders():
    assert grounding.chance()["mrr"] == pytest.approx(0.457, abs=5e-4) and grounding.chance()["accuracy"] == 0.2
    for candidates in (2, 4, 5):
        orders = np.array(list(permutations(range(candidates))), dtype=float)
        rank = grounding.ranks(orders)
        expected = grounding.chance(candidates)
        assert np.mean(1 / rank) == pytest.approx(expected["mrr"])
        assert np.mean(rank == 1) == pytest.approx(expected["accuracy"])


@given(hnp.arrays(np.float64, (4, 5), elements=st.sampled_from([0.0, 0.1, 0.5, np.nan])))
def test_a_tie_and_what_cannot_be_compared_count_against(distance):
    for rank, (right, *others) in zip(grounding.ranks(distance), distance, strict=True):
        assert rank == 1 + sum(not right < other for other in others)


def test_equal_distances_are_the_last_rank():
    assert grounding.ranks(np.zeros((2, 5))).tolist() == [5, 5]
    assert grounding.ranks([[0, 1, 1, 1, 1]]).tolist() == [1]


@pytest.mark.parametrize("seed", range(3))
def test_candidates_are_of_different_classes_the_right_one_first(make_objects, seed):
    objects = make_objects(classes=8, instances=3, views=2)
    trials = grounding.draw(objects.instances, objects.classes, objects.instances, objects.classes, seed)
    assert trials.query.tolist() == list(range(len(objects))) and trials.candidates.shape == (48, 5)
    for query, candidates in zip(trials.query, trials.candidates, strict=True):
        assert objects.instances[candidates[0]] == objects.instances[query]
        assert len(set(objects.classes[candidates])) == 5
    again = grounding.draw(objects.instances, objects.classes, objects.instances, objects.classes, seed)
    np.testing.assert_array_equal(again.candidates, trials.candidates)


def test_wrong_classes_come_equally_often_however_many_views_they_have():
    classes = np.repeat([f"c{i}" for i in range(7)], [1, 50, 1, 1, 20, 1, 1])
    said = np.full(3000, "c0")
    trials = grounding.draw(said, said, classes, classes, seed=0)
    share = np.array([np.mean((classes[trials.candidates[:, 1:]] == f"c{i}").any(axis=1)) for i in range(1, 7)])
    np.testing.assert_allclose(share, 4 / 6, atol=0.04)


def test_what_nobody_sees_is_not_asked_for():
    seen = np.array(["a", "b", "c", "d", "e"])
    trials = grounding.draw(["a", "z", "c"], ["a", "z", "c"], seen, seen)
    assert trials.query.tolist() == [0, 2] and seen[trials.candidates[:, 0]].tolist() == ["a", "c"]
    assert grounding.draw([], [], seen, seen).candidates.shape == (0, 5)


def test_too_few_classes_are_refused():
    with pytest.raises(Any2AnyError, match="No 5 candidates can be drawn: there are 4 classes"):
        grounding.draw(["a"], ["a"], list("abcd"), list("abcd"))


def test_ablations_are_named_as_in_the_paper(make_objects):
    assert grounding.sides("tsrd") == (("text", "speech"), ("camera", "depth"))
    assert grounding.sides("sr") == (("speech",), ("camera",))
    assert grounding.possible(["text", "camera", "depth", "lidar"]) == ("td", "tr", "trd")
    assert (
        grounding.possible(make_objects().observations.modalities) == grounding.ABLATIONS
        and len(grounding.ABLATIONS) == 9
    )


def by_mean_of_modalities(said, seen):
    """A distance that uses exactly what it is given."""
    rows = [np.mean([s.embeddings[m] for m in s.modalities], axis=0) for s in (said, seen)]
    return np.linalg.norm(rows[0][:, None] - rows[1][None], axis=-1)


def test_every_ablation_is_given_its_own_modalities_and_no_others(make_objects):
    objects, asked = make_objects(), []

    def distance(said, seen):
        asked.append((said.modalities, seen.modalities))
        return by_mean_of_modalities(said, seen)

    found = grounding.evaluate(distance, objects, grounding.trials_of(objects))
    assert tuple(found) == grounding.ABLATIONS and len(asked) == 9
    assert asked[grounding.ABLATIONS.index("trd")] == (("text",), ("camera", "depth"))
    assert all(row["queries"] == len(objects) for row in found.values())


def test_a_perfect_a_random_and_an_indifferent_distance(make_objects):
    objects = make_objects(classes=10, instances=10, views=4)
    trials = grounding.trials_of(objects, seed=1)
    draw = np.random.default_rng(0)
    n = len(objects)
    perfect = trials.judge(1 - np.eye(n))
    assert perfect == {"queries": n, "mrr": 1.0, "accuracy": 1.0}
    random = trials.judge(draw.random((n, n)))
    assert random["mrr"] == pytest.approx(0.457, abs=0.05) and random["accuracy"] == pytest.approx(0.2, abs=0.06)
    assert trials.judge(np.zeros((n, n)))["accuracy"] == 0


def test_only_trials_in_which_all_can_be_compared_are_judged(make_objects):
    objects = make_objects()
    trials = grounding.trials_of(objects)
    distance = 1 - np.eye(len(objects))
    distance[4] = np.nan
    assert trials.judge(distance)["queries"] == len(objects) - 1
    assert np.isnan(trials.judge(np.full_like(distance, np.nan))["mrr"])


class Heads:
    """Heads by hand, without torch."""

    def distance(self, said, seen):
        return by_mean_of_modalities(said, seen)


def test_validation_is_the_mrr_with_everything_there(make_objects):
    objects = make_objects(modalities=("text", "camera"))
    expected = grounding.evaluate(Heads().distance, objects, grounding.trials_of(objects, 3))["tr"]["mrr"]
    assert grounding.validation(objects, 3)(Heads()) == expected


def test_objects_with_nothing_seen_cannot_be_asked_for(make_objects):
    objects = make_objects(modalities=("text", "speech"))
    with pytest.raises(Any2AnyError, match="cannot be queried: they have speech, text"):
        grounding.validation(objects)
    bare = ObjectViews({}, objects.ids, objects.classes, objects.instances, {})
    with pytest.raises(Any2AnyError, match="they have nothing"):
        grounding.validation(bare)


def test_spread_over_seeds():
    found = grounding.spread([{"mrr": 0.5}, {"mrr": 0.7}, {"mrr": 0.9}])
    assert found == {"mrr": pytest.approx(0.7), "mrr_sd": pytest.approx(0.2)}
    assert grounding.spread([{"mrr": 0.5}])["mrr_sd"] == 0


@pytest.mark.parametrize(
    ("curve", "steps"), [([(5, 0.2), (10, 0.9), (15, 1.0)], 15), ([(5, 0.95), (10, 1.0)], 5), ([(5, 1.0), (9, 0.1)], 5)]
)
def test_steps_to_most_of_the_best(curve, steps):
    assert grounding.steps_to(curve) == steps
    unknown = [(1, np.nan), *curve, (99, np.nan)]
    assert grounding.steps_to(unknown) == steps


@pytest.mark.parametrize("curve", [[], [(5, np.nan), (10, np.nan)]])
def test_a_curve_without_scores_has_no_steps_to_its_best(curve):
    with pytest.raises(Any2AnyError, match="The learning curve tells nothing"):
        grounding.steps_to(curve)
