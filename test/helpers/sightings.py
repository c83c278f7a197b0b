"""Sightings of objects, for the tests of objects/object_memory.py."""

import numpy as np

from any2any_ros.objects.object_memory import MemoryConfig, ObjectMemory
from any2any_ros.objects.remembered_object import Sighting
from any2any_ros.retrieval.map_header import EncoderRecord

ENCODERS = {"camera": EncoderRecord("emma", "emma:c", 4), "depth": EncoderRecord("emma", "emma:d", 4)}
DRAW = np.random.default_rng(0)


def vector(seed=None):
    v = (DRAW if seed is None else np.random.default_rng(seed)).normal(size=4)
    return (v / np.linalg.norm(v)).astype(np.float32)


def sighting(x, y=0.0, z=0.0, size=0.1, **embeddings):
    """Return a cube of this size around a place."""
    middle = np.array([x, y, z])
    return Sighting(embeddings or {"camera": vector(0)}, middle - size / 2, middle + size / 2)


def memory(**settings):
    return ObjectMemory(ENCODERS, MemoryConfig(**settings))


def all_gone(objects):
    """Say of every object that has no sighting that it is gone."""
    return [True] * len(objects)
