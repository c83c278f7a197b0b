"""Models of objects are as sure as they are right, on tables that they have never seen."""

import numpy as np
import object_models
import pytest
from object_models import LATENT, described, model, tables, world

from any2any_ros import metrics
from any2any_ros.calibration import objects as object_calibration
from any2any_ros.calibration.objects import TABLE
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Observation
from any2any_ros.retrieval.retriever import Retriever


@pytest.fixture(scope="module")
def calibrated():
    return object_models.calibrated()


def test_without_calibration_it_ranks_and_promises_nothing():
    bare = model()
    found = list(tables(bare, 60, 5, ("camera", "depth"), absent=0.0))
    assert np.mean([right for _, right, _ in found]) > 0.6  # chance: 1/8
    assert all(np.isnan(ranking.probability) and not ranking.accepted for *_, ranking in found)


@pytest.mark.parametrize("seen", [("camera", "depth"), ("camera",), ("depth",)], ids="+".join)
def test_on_fresh_tables_it_is_as_sure_as_it_is_right(calibrated, seen):
    """Other objects than it was calibrated on; each fifth command means something that is not there. Chance: 1/8."""
    found = list(tables(calibrated, 400, 21, seen))
    there = np.array([t for t, _, _ in found])
    right = np.array([r for _, r, _ in found])
    probability = np.array([ranking.probability for *_, ranking in found])
    accepted = np.array([ranking.accepted for *_, ranking in found])
    assert right[there].mean() > 0.9 and not right[~there].any()
    assert metrics.expected_calibration_error(probability, right) < 0.1
    assert probability[~there].mean() < probability[there].mean() - 0.2
    assert accepted[there].mean() > (0.1 if len(seen) == 2 else 0)  # one kind of picture alone proves less
    assert right[accepted & there].mean() > 0.9 and accepted[~there].mean() < 0.1  # 0.9 and 0.05 are promised


def test_all_kinds_of_pictures_are_among_what_it_was_calibrated_on():
    views, _, instances = world(3, 4, 2, seed=0)
    views.embeddings["camera"][instances == "o1"] = np.nan
    names = np.unique(instances)
    trained = model()
    reference = object_calibration.remembered(trained, views, instances, names)
    places, n = reference.places, len(names)
    assert len(reference) == 3 * n and len(set(places.ids)) == 3 * n
    one = list(names).index("o1")
    camera, depth = (places.present(m).reshape(3, n) for m in ("camera", "depth"))
    assert camera[1].sum() == n - 1 and not camera[:, one].any() and not camera[2].any()
    assert depth[0].all() and not depth[1].any() and depth[2].all()
    np.testing.assert_array_equal(places.embeddings["depth"][:n], places.embeddings["depth"][2 * n :])
    rows = trained.project(views, trained.object_modalities).embeddings["depth"][instances == names[0]]
    mean = rows.mean(axis=0)
    np.testing.assert_allclose(places.embeddings["depth"][0], mean / np.linalg.norm(mean), atol=1e-6)


def test_tables_hold_the_one_that_is_meant_and_every_second_time_its_like():
    draw = np.random.default_rng(0)
    class_of = np.repeat(["a", "b", "c", "d"], 6)
    with_all = 0
    for _ in range(400):
        own = int(draw.integers(24))
        on_table = object_calibration.table(draw, class_of, own)
        assert on_table.sum() == TABLE and on_table[own]
        with_all += on_table[class_of == class_of[own]].all()
    assert 150 < with_all < 260


def test_one_kind_of_picture_alone_can_be_calibrated():
    views, classes, instances = world(4, 4, 4, seed=2, modalities=("text", "camera"))
    trained = model(("text", "camera"))
    found = object_calibration.fit(trained, described(views, classes, instances))
    assert found.confidence is not None and found.pairs == (("text", "camera"),)
    assert found.encoders == {"camera": trained.fingerprint("camera")}


def test_the_same_seed_gives_the_same_calibration():
    views, classes, instances = world(4, 4, 3, seed=2, modalities=("text", "camera"))
    trained = model(("text", "camera"))
    one, two = (object_calibration.fit(trained, described(views, classes, instances), seed=3) for _ in range(2))
    assert one.table == two.table and one.confidence.temperature == two.confidence.temperature


def test_too_few_objects_are_refused():
    views, classes, instances = world(TABLE - 1, 1, 3, seed=0)
    with pytest.raises(Any2AnyError, match="7 objects are set aside for it, 8 are needed"):
        object_calibration.fit(model(), described(views, classes, instances))


def test_objects_of_which_nothing_was_said_are_refused():
    views, classes, instances = world(4, 3, 2, seed=0)
    with pytest.raises(Any2AnyError, match="Cannot calibrate"):
        object_calibration.fit(model(), described(views.only(("camera", "depth")), classes, instances))


def test_a_command_in_another_space_is_refused(calibrated):
    views, _, instances = world(3, 4, 2, seed=0)
    reference = object_calibration.remembered(calibrated, views, instances, np.unique(instances))
    with pytest.raises(Any2AnyError, match="'text' embedding does not fit the map"):
        Retriever(reference, calibrated.calibrated_or_not()).rank(Observation({"text": np.ones(LATENT + 1)}))
