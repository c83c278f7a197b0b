"""Names that other code may rely on: still reached by the path of the release before, and the same objects there."""

import importlib
import sys

import pytest

NAMES = {
    "methods.any2any": ("fusion.any2any", "Any2Any calibrate"),
    "methods.csa": ("learning.csa", "CSA fit fit_by_validation"),
    "methods.emma": (
        "learning.emma",
        "EMMA EmmaConfig fit geometric_alignment_loss supervised_contrastive_loss contrastive_loss emma_loss",
    ),
    "methods.calmrl": ("learning.calmrl", "CalMRL CalMRLConfig fit anchor anchor_shift"),
    "methods.cox": ("learning.cox", "COX CoxConfig fit"),
    "retrieval.metrics": (
        "metrics",
        "recall_at_k precision_at_k average_precision_at_k reciprocal_rank coverage expected_calibration_error chance",
    ),
}
# What was not moved, or is forwarded by the module that stands.
UNMOVED = {
    "observation": "Embedding Observation ObservationSet Match Ranking",
    "retrieval.reference_map": "load",
}
MEMBERS = {
    ("fusion.any2any", "Any2Any"): "pair_probability fused score",
    ("learning.csa", "CSA"): "query reference similarity",
    ("learning.emma", "EMMA"): "project distance",
    ("learning.calmrl", "CalMRL"): "posterior impute log_likelihood",
    ("observation", "ObservationSet"): "present take",
}
FIELDS = {
    ("learning.csa", "CSA"): "correlations",
    ("learning.calmrl", "CalMRL"): "weights means noise",
    ("observation", "Match"): "id probability score pose pair_probability",
    ("observation", "Ranking"): "matches modalities missing accepted place_set",
}


def module(name):
    return importlib.import_module(f"any2any_ros.{name}")


@pytest.mark.parametrize("old", NAMES)
def test_an_old_path_leads_to_the_same_objects_and_says_so(old):
    new, names = NAMES[old]
    sys.modules.pop(f"any2any_ros.{old}", None)  # so that it is imported, and warns, whatever ran before
    with pytest.warns(DeprecationWarning, match=f"any2any_ros.{old} has moved to any2any_ros.{new}"):
        loaded = module(old)
    for name in names.split():
        assert getattr(loaded, name) is getattr(module(new), name), name


@pytest.mark.parametrize("path", UNMOVED)
def test_names_at_their_place(path):
    assert all(hasattr(module(path), name) for name in UNMOVED[path].split())


@pytest.mark.parametrize(("path", "cls"), MEMBERS, ids=lambda name: name)
def test_members(path, cls):
    assert all(callable(getattr(getattr(module(path), cls), name)) for name in MEMBERS[path, cls].split())


@pytest.mark.parametrize(("path", "cls"), FIELDS, ids=lambda name: name)
def test_fields(path, cls):
    assert set(FIELDS[path, cls].split()) <= set(getattr(module(path), cls).__dataclass_fields__)
