"""Clouds of a street, and a map with clouds."""

import numpy as np

from any2any_ros import files
from any2any_ros.geometry import clouds
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.map_folder import SCANS


def save_with_scans(reference, folder, scans):
    """Save a map with the scans (id, points) of its places; return it as it is saved."""
    with files.unfinished(folder / SCANS) as home:
        clouds.write(home, scans)
        return reference_map.save(reference, folder, {SCANS: home})


def street(seed, n=6000):
    """Return points (N, 3): poles of all heights on flat ground, so that there is one way to register them."""
    draw = np.random.default_rng(seed)
    ground = np.column_stack([draw.uniform(-35, 35, (n, 2)), np.full(n, -1.7)])
    foot, height = draw.uniform(-35, 35, (80, 2)), draw.uniform(2, 9, 80)
    poles = [
        np.column_stack([np.tile(f, (40, 1)), np.linspace(-1.7, h, 40)]) for f, h in zip(foot, height, strict=True)
    ]
    return np.concatenate([ground, *poles])
