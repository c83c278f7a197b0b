"""Whatever comes to a boundary is answered or refused: valid, structured and mutated inputs, a few of each.

`make fuzz` throws many more at the same boundaries (scripts/fuzz.py).
"""

from __future__ import annotations

import warnings
from collections import Counter

import pytest
from fuzzing import failures, folders, registry
from fuzzing.boundary import attempt, cross
from fuzzing.choices import Choices
from fuzzing.work import data_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

MILLISECONDS = 400.0  # of CPU time, about, for each boundary
NAMES = sorted(registry.boundaries())
# Shorter bytes are no simpler inputs, so nothing is gained by looking for them.
quick = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)


@pytest.fixture(scope="module", autouse=True)
def _cleaned_up():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    registry.close()
    folders.clean()


def test_there_are_many_boundaries():
    assert len(NAMES) >= 35


@pytest.mark.parametrize("name", NAMES)
def test_a_valid_input_is_answered(name):
    boundary = registry.boundaries()[name]
    for i in range(3):
        outcome = cross(boundary, boundary.valid(Choices(data_of("valid", name, i))))
        assert outcome.kind == "answered", f"{outcome.text}\n{failures.shown(outcome.given)}"


@pytest.mark.parametrize("name", NAMES)
def test_whatever_comes_is_answered_or_refused(name):
    boundary, kinds = registry.boundaries()[name], Counter()

    @settings(quick, max_examples=max(5, min(60, int(MILLISECONDS / boundary.milliseconds))))
    @given(st.binary(min_size=32, max_size=32))
    def throw(data):
        outcome = attempt(boundary, data)
        kinds[outcome.kind] += 1
        assert not outcome.failed, f"{outcome.kind}: {outcome.text}\n{failures.shown(outcome.given)}"

    throw()
    assert kinds["answered"] + kinds["refused"] >= 5
