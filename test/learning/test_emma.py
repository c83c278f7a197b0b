"""EMMA's heads learn from incomplete data, and project with NumPy as PyTorch did in training."""

import sys
from dataclasses import fields

import numpy as np
import pytest
from incomplete_objects import WIDTH, objects, random_heads

from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import calmrl, emma
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.observation import ObservationSet

SMALL = EmmaConfig(dims=16, hidden=24, steps=120, interval=20, batch=32, learning_rate=3e-3)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is absent: make torch")


def hits(heads, data, labels):
    """Return how often the nearest object of a command is of its class."""
    distance = heads.distance(data.only(["text", "speech"]), data.only(["camera", "depth"]))
    asked = ~np.isnan(distance).all(axis=1)
    nearest = np.nanargmin(distance[asked], axis=1)
    return float((labels[asked] == labels[nearest]).mean())


@pytest.mark.parametrize("loss", ["emma", "geometric", "supcon", "contrastive"])
def test_heads_learn_which_object_is_meant(torch, loss):
    config = EmmaConfig(**{f.name: getattr(SMALL, f.name) for f in fields(SMALL)} | {"loss": loss})
    heads = emma.fit(*objects(1, n=300), config)
    test, labels = objects(2)
    assert hits(heads, test, labels) > 0.6  # chance 1/6
    untrained = random_heads()
    assert hits(untrained, test, labels) < 0.4


def test_projection_is_the_network_that_was_trained(torch):
    heads, (data, _) = random_heads(), objects(0)
    for m in WIDTH:
        x = torch.tensor((data.embeddings[m] - heads.mean[m]) / heads.spread[m]).clamp(-5, 5)
        for layer in range(3):
            weight, bias = torch.tensor(heads.weights[f"{m}/{layer}"]), torch.tensor(heads.biases[f"{m}/{layer}"])
            x = torch.nn.functional.linear(x.relu() if layer else x, weight.T, bias)
        expected = torch.nn.functional.normalize(x, dim=1)
        found = heads.project(m, data.embeddings[m])
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert found.dtype == np.float32
        missing = ~data.present(m)
        assert missing.any() and np.isnan(found[missing]).all()
        np.testing.assert_allclose(np.linalg.norm(found[~missing], axis=1), 1, atol=1e-5)


def test_training_and_applying_agree(torch):
    """What training ended with is what project computes: the last loss, worked out again from the arrays."""
    data, labels = objects(3, n=40, missing=0.3)
    # The batch is the whole set: the second step's loss does not depend on the order.
    supcon = EmmaConfig(dims=8, hidden=8, steps=2, interval=1, batch=40, learning_rate=1e-2, loss="supcon")
    first, second = emma.training(data, labels, supcon)
    z = torch.tensor(np.stack([first.best.project(m, data.embeddings[m]) for m in data.modalities], axis=1))
    kept = np.flatnonzero(np.any([data.present(m) for m in data.modalities], axis=0))
    again = emma.supervised_contrastive_loss(z[kept], torch.tensor(labels[kept])).sum(1).mean()
    assert second.loss == pytest.approx(float(again), rel=1e-4)


def test_the_same_seed_gives_the_same_heads_and_leaves_torch_alone(torch):
    data, labels = objects(4)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one = emma.fit(data, labels, SMALL)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(8)
    two = emma.fit(data, labels, SMALL)
    other = emma.fit(data, labels, EmmaConfig(dims=16, hidden=24, steps=120, interval=20, batch=32, seed=1))
    for m in WIDTH:
        assert one.project(m, data.embeddings[m]).tobytes() == two.project(m, data.embeddings[m]).tobytes()
    assert not np.allclose(one.weights["text/0"], other.weights["text/0"])


def test_no_two_heads_share_weights(torch):
    columns = dict.fromkeys(("camera", "depth"), np.random.default_rng(0).normal(size=(20, 4)))
    twins = ObservationSet(columns, np.tile(np.eye(4), (20, 1, 1)), tuple(map(str, range(20))))
    heads = emma.fit(twins, np.arange(20) % 2, EmmaConfig(dims=4, hidden=4, steps=1, interval=1))
    assert not np.allclose(heads.weights["camera/0"], heads.weights["depth/0"])


def test_the_unit_of_a_feature_does_not_matter(torch):
    data, labels = objects(5)
    draw = np.random.default_rng(0)
    scaled = {m: x * draw.uniform(1e-3, 1e4, x.shape[1]) + draw.normal(size=x.shape[1])
              for m, x in data.embeddings.items()}  # fmt: skip
    other = ObservationSet(scaled, data.poses, data.ids)
    config = EmmaConfig(dims=8, hidden=8, steps=3, interval=1)
    one, two = emma.fit(data, labels, config), emma.fit(other, labels, config)
    for m in WIDTH:
        seen = data.present(m)
        np.testing.assert_allclose(
            one.project(m, data.embeddings[m])[seen], two.project(m, other.embeddings[m])[seen], atol=0.02
        )


def test_a_feature_that_never_changed_and_one_that_jumps_are_survived(torch):
    data, labels = objects(6, missing=0)
    camera = data.embeddings["camera"].copy()
    camera[:, 0] = 1e6
    fixed = ObservationSet({**data.embeddings, "camera": camera}, data.poses, data.ids)
    heads = emma.fit(fixed, labels, EmmaConfig(dims=8, hidden=8, steps=2, interval=1))
    camera[:, 0] = -1e30
    found = heads.project("camera", camera)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_a_modality_that_nobody_recorded_gets_no_head(torch):
    data, labels = objects(7)
    columns = {**data.embeddings, "depth": np.full((len(data), 6), np.nan)}
    heads = emma.fit(ObservationSet(columns, data.poses, data.ids), labels, EmmaConfig(dims=4, hidden=4, steps=1))
    assert heads.modalities == ("camera", "speech", "text")


def test_rows_with_nothing_recorded_change_nothing(torch):
    data, labels = objects(8)
    gone = {m: np.full_like(x[:9], np.nan) for m, x in data.embeddings.items()}
    empty = ObservationSet(gone, np.tile(np.eye(4), (9, 1, 1)), tuple(f"empty/{i}" for i in range(9)))
    config = EmmaConfig(dims=8, hidden=8, steps=5, interval=1)
    one = emma.fit(data, labels, config)
    two = emma.fit(ObservationSet.concatenate([empty, data]), np.concatenate([np.full(9, 99), labels]), config)
    assert all(one.weights[key].tobytes() == two.weights[key].tobytes() for key in one.weights)


# --- imputed vectors ------------------------------------------------------------------------------------------


def filled(data, value=0.0):
    """Return the set with a number in place of what is missing."""
    columns = {m: np.where(np.isnan(x), value, x) for m, x in data.embeddings.items()}
    return ObservationSet(columns, data.poses, data.ids)


def test_imputed_vectors_teach_as_if_they_had_been_recorded(torch):
    """A loss that does not ask what was recorded cannot tell: the statistics alone are of what was."""
    data, labels = objects(13, missing=0.3)
    config = EmmaConfig(dims=4, hidden=4, steps=3, interval=1, loss="supcon")
    one = emma.fit(data, labels, config, imputed=filled(data, 0.5))
    two = emma.fit(data, labels, config)
    assert not np.allclose(one.weights["text/0"], two.weights["text/0"])
    for m in WIDTH:
        np.testing.assert_array_equal(one.mean[m], two.mean[m])
    same = emma.fit(data, labels, config, imputed=data)
    assert same.weights["text/0"].tobytes() == two.weights["text/0"].tobytes()


def test_what_was_recorded_is_not_overwritten_by_what_is_imputed(torch):
    data, labels = objects(14, missing=0)
    config = EmmaConfig(dims=4, hidden=4, steps=2, interval=1)
    lies = ObservationSet({m: x + 5 for m, x in data.embeddings.items()}, data.poses, data.ids)
    one, two = emma.fit(data, labels, config), emma.fit(data, labels, config, imputed=lies)
    assert one.weights["text/0"].tobytes() == two.weights["text/0"].tobytes()


def test_calmrl_tells_the_imputed_from_the_recorded(torch):
    data, labels = objects(15, missing=0.4)
    config = EmmaConfig(dims=8, hidden=8, steps=2, interval=1, batch=len(data), loss="calmrl", learning_rate=1e-2)
    whole = filled(data)
    first, second = emma.training(data, labels, config, imputed=whole)
    z = torch.tensor(np.stack([first.best.project(m, whole.embeddings[m]) for m in data.modalities], axis=1))
    observed = np.stack([data.present(m) for m in data.modalities], axis=1)
    kept = observed.any(axis=1)
    from any2any_ros.learning.calmrl_losses import calmrl_loss

    again = calmrl_loss(z[kept], torch.tensor(observed[kept])).mean()
    assert second.loss == pytest.approx(float(again), rel=1e-3)


def test_calmrl_learns_which_object_is_meant_without_classes(torch):
    data, labels = objects(1, n=300, missing=0.4)
    config = EmmaConfig(dims=16, hidden=24, steps=200, warm_up=50, batch=32, learning_rate=3e-3, loss="calmrl")
    model = calmrl.fit(data)
    heads = emma.fit(data, labels, config, imputed=model.impute(data))
    other = emma.fit(data, labels[::-1], config, imputed=model.impute(data))  # classes are not looked at
    test, kinds = objects(2)
    assert hits(heads, test, kinds) > 0.3 and hits(other, test, kinds) > 0.3  # chance 1/6


@pytest.mark.parametrize("wrong", ["rows", "modalities", "dimensions"])
def test_imputed_vectors_that_are_of_something_else_are_refused(torch, wrong):
    data, labels = objects(16)
    other = {
        "rows": data.take(np.arange(5)), "modalities": data.only(["text"]),
        "dimensions": ObservationSet({**data.embeddings, "text": np.ones((len(data), 3))}, data.poses, data.ids),
    }[wrong]  # fmt: skip
    with pytest.raises(Any2AnyError, match="does not stand beside"):
        emma.fit(data, labels, EmmaConfig(steps=1), imputed=other)


# --- validation and early stopping ----------------------------------------------------------------------------


def test_training_ends_when_validation_no_longer_rises_and_keeps_the_best(torch):
    scores = iter([0.2, 0.5, 0.4, 0.5, 0.3, 0.9])
    seen = []

    def validation(heads):
        seen.append(heads)
        return next(scores)

    config = EmmaConfig(dims=4, hidden=4, steps=1000, interval=3, patience=3, batch=16)
    checkpoints = list(emma.training(*objects(9), config, validation))
    assert [c.number for c in checkpoints] == [3, 6, 9, 12, 15] and [checkpoint.score for checkpoint in checkpoints][
        1
    ] == 0.5
    assert checkpoints[-1].best is seen[1]
    scores = iter([0.2, 0.5, 0.4, 0.5, 0.3, 0.9])
    assert emma.fit(*objects(9), config, validation).biases["text/0"].tobytes() == seen[1].biases["text/0"].tobytes()


def test_without_validation_the_last_heads_are_taken(torch):
    config = EmmaConfig(dims=4, hidden=4, steps=7, interval=3, patience=1, batch=16)
    checkpoints = list(emma.training(*objects(10), config))
    assert [c.number for c in checkpoints] == [3, 6, 7] and all(np.isnan(c.score) for c in checkpoints)
    assert emma.fit(*objects(10), config).biases["text/2"].tobytes() == checkpoints[-1].best.biases["text/2"].tobytes()


def test_a_validation_that_cannot_tell_leaves_heads_all_the_same(torch):
    config = EmmaConfig(dims=4, hidden=4, steps=4, interval=1, patience=9)
    assert emma.fit(*objects(10), config, lambda heads: float("nan")).modalities


def test_earlier_heads_do_not_change_while_training_goes_on(torch):
    config = EmmaConfig(dims=4, hidden=4, steps=3, interval=1)
    steps = emma.training(*objects(11), config)
    first = next(steps).best
    kept = first.weights["text/0"].copy()
    last = list(steps)[-1].best
    np.testing.assert_array_equal(first.weights["text/0"], kept)
    assert not np.allclose(last.weights["text/0"], kept)


def test_progress_wraps_the_loop(torch):
    counted = []
    config = EmmaConfig(dims=4, hidden=4, steps=4, interval=2)
    emma.fit(*objects(12), config, progress=lambda loop: (counted.append(step.number) or step for step in loop))
    assert counted == [2, 4]


# --- bad input ------------------------------------------------------------------------------------------------


def test_data_that_teaches_nothing_is_refused(torch):
    data, labels = objects(0, n=10)
    with pytest.raises(Any2AnyError, match=r"10 observations and labels of shape \(9,\)"):
        emma.fit(data, labels[:9])
    with pytest.raises(Any2AnyError, match="4 modalities and 1 classes"):
        emma.fit(data, np.zeros(10))
    with pytest.raises(Any2AnyError, match="0 modalities and 0 classes"):
        emma.fit(data.only([]), labels)
    with pytest.raises(Any2AnyError, match="1 modalities"):
        emma.fit(data.only(["text"]), labels, EmmaConfig(loss="contrastive"))


def test_labels_may_be_words(torch):
    data, labels = objects(0, n=20)
    words = np.array(["mug", "plate", "fork", "lime", "bowl", "pen"])[labels]
    config = EmmaConfig(dims=4, hidden=4, steps=2, interval=1)
    assert emma.fit(data, words, config).modalities == tuple(sorted(WIDTH))


def test_without_torch_training_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(Any2AnyError, match="pip install"):
        emma.fit(*objects(0))
