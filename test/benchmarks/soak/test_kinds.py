"""Every kind of fault is made, named and told of."""

from pathlib import Path

import pytest

from benchmarks.soak.garbage import HEAD, VARIANTS, garbage
from benchmarks.soak.kinds import KINDS

PAGE = Path(__file__).parents[3] / "docs" / "soak.md"


def test_every_kind_is_in_the_documentation():
    text = PAGE.read_text()
    assert not [name for name in KINDS if f"`{name}`" not in text]


def test_every_kind_but_a_good_map_must_be_named():
    assert [name for name, kind in KINDS.items() if not kind.causes] == ["map_swaps"]


def test_every_kind_has_an_action():
    pytest.importorskip("rclpy", reason="no ROS 2")
    from benchmarks.soak.actions import ACTIONS

    assert set(ACTIONS) == set(KINDS)


def test_garbage_is_never_the_message_and_keeps_its_first_bytes():
    import numpy as np

    message, rng = bytes(range(256)) * 4, np.random.default_rng(0)
    made = [garbage(message, rng) for _ in range(300)]
    assert message not in made and all(one[:HEAD] == message[:HEAD] for one in made)
    assert len({len(one) for one in made}) > 50 and len(set(made)) > 150
    assert len({variant(message, rng)[:8] for variant in VARIANTS}) > 1
