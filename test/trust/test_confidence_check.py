"""A confidence that lacks a part, or has one of another shape, is none: it could not answer every query."""

from dataclasses import replace

import numpy as np
import pytest
from fitted_states import STATES

from any2any_ros.trust.confidence_check import check_features

FITTED = STATES["confidence"]
KEY = "a"


def without(name, key):
    return {name: {k: v for k, v in getattr(FITTED, name).items() if k != key}}


def changed(name, change, key=KEY):
    return {name: getattr(FITTED, name) | {key: change(getattr(FITTED, name)[key])}}


WRONG = {
    "no weights": (without("weights", KEY), "lacks its weights, steps, threshold or levels"),
    "no steps": (without("steps", "*"), "lacks its weights"),
    "no threshold": (without("accept_above", KEY), "lacks its weights"),
    "no bounds": (without("levels", KEY), "lacks its weights"),
    "no level": (without("nonconformity", f"{KEY}/0"), "a level of evidence lacks"),
    "a level more": ({"nonconformity": FITTED.nonconformity | {"*/9": np.ones(1)}}, "a level of evidence lacks"),
    "weights of one question": (changed("weights", lambda w: w[:1]), "weights of a pattern are not"),
    "weights of no feature": (changed("weights", lambda w: w[..., :1]), "weights of a pattern are not"),
    "flat weights": (changed("weights", np.ravel), "weights of a pattern are not"),
    "no step": (changed("steps", lambda s: s[:, :0]), "steps of a pattern are not rising"),
    "falling steps": (changed("steps", lambda s: -s), "steps of a pattern are not rising"),
    "flat steps": (changed("steps", np.ravel), "steps of a pattern are not rising"),
    "probabilities above 1": (changed("steps", lambda s: s * [[1], [9]]), "a probability is not from 0 to 1"),
    "falling scores": (changed("nonconformity", lambda n: -n, f"{KEY}/0"), "are not sorted"),
}


@pytest.mark.parametrize(("change", "why"), WRONG.values(), ids=WRONG.keys())
def test_parts_that_do_not_fit_are_refused(change, why):
    with pytest.raises(ValueError, match=why):
        replace(FITTED, **change)


@pytest.mark.parametrize(
    ("key", "width", "others", "fits"),
    [
        ("a", 2, 0, True), ("a", 3, 0, True), ("a", 3, 1, False), ("a", 4, 1, True), ("a", 4, 0, False),
        ("a+b", 4, 0, True), ("a+b", 3, 0, False), ("a+b", 5, 1, True), ("any 2", 4, 0, True), ("any 2", 5, 0, False),
        ("any 2", 2, 1, True), ("any x", 2, 0, False), ("*", 9, 0, True),
    ],
)  # fmt: skip
def test_weights_are_for_the_first_feature_or_for_one_of_each_sensor_and_the_others(key, width, others, fits):
    parts = {name: {"*": getattr(FITTED, name)["*"]} for name in ("steps", "accept_above", "levels")}
    scores = {k: v for k, v in FITTED.nonconformity.items() if k.startswith("*")}
    weights = {"*": np.zeros((2, 2, 2)), key: np.zeros((2, 2, width))}
    of_key = {name: part | {key: part["*"]} for name, part in parts.items()}
    scores |= {f"{key}/{k.removeprefix('*/')}": v for k, v in scores.items()}
    confidence = replace(FITTED, weights=weights, nonconformity=scores, **of_key)
    if fits:
        check_features(confidence, others)
    else:
        with pytest.raises(ValueError, match=r"the weights of|invalid literal"):
            check_features(confidence, others)
