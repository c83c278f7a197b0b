"""Large maps on disk. The files that need them take `small_maps_are_large`."""

import pytest
from large_maps import write

from any2any_ros.retrieval import reference_map, retriever


@pytest.fixture
def small_maps_are_large(monkeypatch):
    for module in (retriever, reference_map):
        monkeypatch.setattr(module, "LARGE", 100)


@pytest.fixture
def one(tmp_path):
    """A calibrated map on disk that nobody has opened, with one fusion where it does not matter which."""
    write(tmp_path / "map")
    return tmp_path / "map"
