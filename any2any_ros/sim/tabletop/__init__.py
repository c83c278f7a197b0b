"""Simulated household objects on a table: a GoLD folder to learn from, and a whole table to find them on."""

from any2any_ros.sim.tabletop.folder import write
from any2any_ros.sim.tabletop.scene import Frame, TableScene, Thing, scene
from any2any_ros.sim.tabletop.settings import CameraConfig, SceneConfig, TabletopConfig

__all__ = ["CameraConfig", "Frame", "SceneConfig", "TableScene", "TabletopConfig", "Thing", "scene", "write"]
