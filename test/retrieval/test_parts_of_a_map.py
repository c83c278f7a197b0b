"""The parts of a map that were made apart are compared when it is opened: places, calibration, adopted sensors.

Each part is whole by itself here. test_damaged_formats.py has those that are not.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from any2any_ros import storage
from any2any_ros.alignments import Head
from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.any2any import Any2Any, calibrate
from any2any_ros.fusion.best_available import BestAvailable
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.mixture import Mixture
from any2any_ros.imputers.calmrl import CalMRL
from any2any_ros.objects import grounding_model
from any2any_ros.observation import Observation
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import Confidence
from any2any_ros.trust.drift import Difference

TODAY = Path(__file__).parents[1] / "formats" / "today"


@pytest.fixture
def sample(tmp_path):
    """Return a function that copies a sample."""
    return lambda name: Path(shutil.copytree(TODAY / name, tmp_path / name))


def any2any(shape):
    draw = np.random.default_rng(0)
    return calibrate(draw.normal(size=(50, *shape)), draw.random(50) < 0.5)


def refused(folder, why, what="The calibration does not fit map 'square'"):
    with pytest.raises(Any2AnyError, match=f"{what}.*: .*{why}.*Calibrate again"):
        Retriever.open(folder)


def edited(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 3), (3, 2), (2, 1)])
@pytest.mark.parametrize(
    "make",
    [
        any2any,
        lambda shape: LikelihoodRatio(np.ones(shape), np.zeros(shape)),
        lambda shape: BestAvailable(np.ones(shape), np.ones(shape), np.zeros(shape)),
        lambda shape: Mixture(np.ones(shape), np.zeros(shape), np.zeros(shape)),
    ],
    ids=["any2any", "likelihood_ratio", "best_available", "mixture"],
)
def test_a_fusion_of_other_pairs_is_refused(sample, make, shape):
    """The map has camera and lidar. NumPy would stretch a (1, 1) or (2, 1) to them, and answer wrongly."""
    folder, fusion = sample("refined"), make(shape)
    storage.save(fusion, folder / "calibration" / "fusion")
    edited(folder / "calibration" / "calibration.json", fusion=fusion.plug)
    refused(folder, r"its fusion was fitted for \(., .\) pairs of modalities, not \(2, 2\)")


def test_a_drift_test_of_other_vectors_is_refused(sample):
    folder = sample("adopted")
    path = folder / "calibration" / "drift-1"
    other = storage.load(path, Difference)
    other = replace(other, mean=other.mean[:5], directions=other.directions[:, :5])
    storage.save(other, path)
    refused(folder, "its drift test takes 5 dimensions of 'lidar'")


def test_an_imputer_of_other_vectors_is_refused(sample):
    folder = sample("imputed")
    path = folder / "calibration" / "imputer"
    fitted = storage.load(path, CalMRL)
    wide = {"weights": {"text": np.ones((9, fitted.latent))}, "means": {"text": np.ones(9)}}
    for other in (
        replace(fitted, **{name: getattr(fitted, name) | of_text for name, of_text in wide.items()}),
        CalMRL({"smell": np.ones((9, 2))}, {"smell": np.ones(9)}, {"smell": 1.0}),
    ):
        storage.save(other, path)
        refused(folder, "its imputer takes 9 dimensions of '(text|smell)'")


def test_pairs_with_a_modality_that_the_map_lacks_are_refused(sample):
    folder = sample("refined")
    edited(folder / "calibration" / "calibration.json", pairs=[["camera", "smell"]])
    refused(folder, "it compares with 'smell', which the map does not have")


def test_a_confidence_for_other_features_is_refused(sample):
    """One of refined rankings has one feature more: the overlap. In place of the other, every ranking would fail."""
    folder = sample("refined")
    home = folder / "calibration"
    shutil.copy(home / "refiner-confidence.npz", home / "confidence.npz")
    refused(folder, "the weights of '.*' are for [34] features", "Cannot read the calibration")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"confidence": False}, "a file confidence.npz, which calibration.json does not name"),
        ({"refiner": None}, "a file refiner-evidence.npz, which"),
        ({"fusion": "mixture"}, "its fusion is 'likelihood_ratio', not 'mixture'"),
        ({"imputer": "calmrl"}, "Cannot read the fitted state .*imputer"),
        ({"drift": ["camera"]}, "Cannot read the fitted state .*drift-0"),
        ({"drift": ["camera", "camera"]}, "a modality has two drift tests"),
        ({"same_place": -1.0}, "'same_place' is -1.0, and must be finite.* and at least 0"),
        ({"encoders": {"camera": 7}}, "'encoders/camera' is 7, not a text"),
    ],
    ids=str,
)
def test_a_header_that_names_other_parts_is_refused(sample, change, why):
    folder = sample("refined")
    edited(folder / "calibration" / "calibration.json", **change)
    refused(folder, why, "Cannot read the calibration")


def test_a_confidence_with_a_pattern_of_more_sensors_answers_those_with_fewer(sample):
    """Its key * can come from one pattern alone, with a weight for each sensor; a query may have fewer."""
    folder = sample("refined")
    path = folder / "calibration" / "confidence"
    fitted = storage.load(path, Confidence)
    names = ("weights", "steps", "accept_above", "levels")
    only = {name: {"*": getattr(fitted, name)["camera+lidar"]} for name in names}
    scores = {f"*/{i}": s for i, s in enumerate(v for k, v in fitted.nonconformity.items() if k.startswith("camera+"))}
    storage.save(replace(fitted, **only, nonconformity=scores), path)
    retriever = Retriever.open(folder)
    for modalities in (["camera"], ["camera", "lidar"]):
        seen = Observation({m: retriever.places.embeddings[m][3] for m in modalities})
        assert 0 < retriever.rank(seen, 3).probability < 1


# --- adopted sensors and models ---------------------------------------------------------------------------------------


def test_a_head_of_other_vectors_is_refused(sample):
    folder = sample("adopted")
    path = folder / "adopted" / "thermal" / "head-1"
    head = storage.load(path, Head)
    for other in (
        replace(head, query_mean=np.ones(9), query_projection=np.ones((9, head.query_projection.shape[1]))),
        replace(head, reference_mean=np.ones(9), reference_projection=np.ones((9, head.query_projection.shape[1]))),
    ):
        storage.save(other, path)
        localizer = Localizer(AliveConfig(), RetrievalConfig(), 5.0)
        with pytest.raises(Any2AnyError, match="The adopted 'thermal' does not fit map 'square': its head for 'lidar'"):
            localizer.open(folder, lambda modalities: {})


def test_heads_that_the_header_does_not_name_are_refused(sample):
    folder = sample("adopted")
    edited(folder / "adopted" / "thermal" / "adopted.json", heads=["camera"])
    with pytest.raises(Any2AnyError, match=r"adopted.json names 1 heads.*Adopt it again"):
        Localizer(AliveConfig(), RetrievalConfig(), 5.0).open(folder, lambda modalities: {})


def test_a_models_calibration_of_other_pairs_is_refused(sample):
    folder = sample("model")
    edited(folder / "calibration" / "calibration.json", pairs=[["text", "camera"]])
    with pytest.raises(Any2AnyError, match=r"Cannot read the model .*its calibration compares .*, its heads compare"):
        grounding_model.load(folder)


def test_a_fitted_fusion_knows_its_shape():
    assert isinstance(any2any((2, 3)), Any2Any) and tuple(any2any((2, 3)).shape) == (2, 3)
    assert LikelihoodRatio(np.ones((2, 3)), np.zeros((2, 3))).shape == (2, 3)
    with pytest.raises(ValueError, match=r"its arrays have shapes .*, not one shape \(Mq, Mr\)"):
        Mixture(np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 2)))
