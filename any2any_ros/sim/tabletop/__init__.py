"""Simulated household objects: a GoLD folder to train on, and a table with several objects to find them on."""

from any2any_ros.sim.tabletop.folder import write
from any2any_ros.sim.tabletop.scene import Frame, TableScene, Thing, scene
from any2any_ros.sim.tabletop.settings import CameraConfig, SceneConfig, TabletopConfig

__all__ = ["CameraConfig", "Frame", "SceneConfig", "TableScene", "TabletopConfig", "Thing", "scene", "write"]
