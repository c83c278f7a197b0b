"""Scenes of upright walls, as bird's-eye images and as points, seen from wherever a robot stands."""

import numpy as np

from any2any_ros.birds_eye import image


def scene(seed, places=60):
    """Return the corners, and the length of the walls, of some houses (N, 3), in cells around the middle."""
    draw = np.random.default_rng(seed)
    return np.column_stack([draw.uniform(-32, 32, (places, 2)), draw.uniform(1, 6, places)])


def walls(houses, heading=0.0, x=0.0, y=0.0):
    """Return points (N, 2), in cells, as a sensor at (x, y) cells sees them, turned by `heading` degrees."""
    parts = []
    for east, north, length in houses:
        along = np.linspace(0, length, int(8 * length))
        parts.append(np.column_stack([east + along, np.full_like(along, north)]))
        parts.append(np.column_stack([np.full_like(along, east), north + along]))
    angle = np.radians(heading)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (np.concatenate(parts) - (x, y)) @ turn.T


def drawn(houses, heading=0.0, x=0.0, y=0.0):
    """Return the image of the houses, as `walls` describes it."""
    return image.of_positions(*walls(houses, heading, x, y).T, 1.0)


def raised(houses, cell, heading=0.0, x=0.0, y=0.0):
    """Return points (N, 3), in metres, of the same walls, 4 m high."""
    ground = cell * walls(houses, heading, x, y)
    heights = np.arange(-1.5, 2.5, 0.3)
    return np.column_stack([np.repeat(ground, len(heights), axis=0), np.tile(heights, len(ground))])


def street(houses, heading=0.0, x=0.0, y=0.0):
    """Return points (N, 3), in metres, of the same walls and of the ground that they stand on."""
    walls_seen = raised(houses, 1.0, heading, x, y)
    flat = np.stack(np.meshgrid(np.arange(-25.0, 25.0), np.arange(-25.0, 25.0)), axis=-1).reshape(-1, 2)
    return np.concatenate([walls_seen, np.column_stack([flat, np.full(len(flat), -1.5)])])


def ahead(points, degrees=80.0):
    """Return the points that a sensor with this field of view sees."""
    return points[np.abs(np.degrees(np.arctan2(points[:, 1], points[:, 0]))) < degrees / 2]
