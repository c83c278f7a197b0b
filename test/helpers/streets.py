"""Clouds of a street."""

import numpy as np


def street(seed, n=6000):
    """Return points (N, 3): poles of all heights on flat ground, so that there is one way to register them."""
    draw = np.random.default_rng(seed)
    ground = np.column_stack([draw.uniform(-35, 35, (n, 2)), np.full(n, -1.7)])
    foot, height = draw.uniform(-35, 35, (80, 2)), draw.uniform(2, 9, 80)
    poles = [
        np.column_stack([np.tile(f, (40, 1)), np.linspace(-1.7, h, 40)]) for f, h in zip(foot, height, strict=True)
    ]
    return np.concatenate([ground, *poles])
