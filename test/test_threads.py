"""PyTorch's threads are borrowed and given back, whatever happens meanwhile."""

import pytest

from any2any_ros.threads import threads


def failing(torch, count, seen):
    with threads(count):
        seen.append(torch.get_num_threads())
        raise ValueError("meanwhile")


def test_threads_are_given_back_after_an_error():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make torch")
    before, seen = torch.get_num_threads(), []
    with pytest.raises(ValueError, match="meanwhile"):
        failing(torch, before + 1, seen)
    assert seen == [before + 1] and torch.get_num_threads() == before
