"""A simulated town: two laps through it with all sensors, drawn from a seed, written as a KITTI odometry folder."""

from any2any_ros.sim.town.folder import write
from any2any_ros.sim.town.settings import TownConfig

__all__ = ["TownConfig", "write"]
