"""A simulated town: a seeded drive of two laps, with all sensors, written as a KITTI odometry folder."""

from any2any_ros.sim.town.folder import write
from any2any_ros.sim.town.settings import TownConfig

__all__ = ["TownConfig", "write"]
