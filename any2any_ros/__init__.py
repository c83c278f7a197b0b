"""Onboard place recognition and object grounding from whatever sensors are alive.

    import any2any_ros as a2a

    town = a2a.open_map("maps/town")
    ranking = town.rank({"camera": image, "lidar": points})

docs/python.md is a tour. The names below are imported when they are first used: importing this package is quick, and
needs neither ROS nor PyTorch. The path is extended, so that a checkout finds the message classes that were generated
and installed elsewhere (`any2any_ros.msg`, `any2any_ros.srv`, `any2any_ros.action`).
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from any2any_ros.calibration.fitting import CalibrationConfig
    from any2any_ros.config import PlaceConfig, RetrievalConfig
    from any2any_ros.data.sources import open_recording
    from any2any_ros.errors import Any2AnyError
    from any2any_ros.geometry.refiner import RefinerConfig
    from any2any_ros.observation import Observation, ObservationSet
    from any2any_ros.place_map import PlaceMap, open_map
    from any2any_ros.plugins import allow_module
    from any2any_ros.progress import progress_bar
    from any2any_ros.ranking import Match, Ranking
    from any2any_ros.retrieval.calibration import Calibration
    from any2any_ros.samples import Scan, Sound, Step
    from any2any_ros.trust.confidence import ConfidenceConfig
    from any2any_ros.workflows.adopt import AdoptionOptions, adopt
    from any2any_ros.workflows.build_map import MapOptions, build_map
    from any2any_ros.workflows.calibrate import CalibrationOptions, calibrate
    from any2any_ros.workflows.evaluate import EvaluationOptions, Report, evaluate

__all__ = [
    "AdoptionOptions",
    "Any2AnyError",
    "Calibration",
    "CalibrationConfig",
    "CalibrationOptions",
    "ConfidenceConfig",
    "EvaluationOptions",
    "MapOptions",
    "Match",
    "Observation",
    "ObservationSet",
    "PlaceConfig",
    "PlaceMap",
    "Ranking",
    "RefinerConfig",
    "Report",
    "RetrievalConfig",
    "Scan",
    "Sound",
    "Step",
    "adopt",
    "allow_module",
    "build_map",
    "calibrate",
    "evaluate",
    "open_map",
    "open_recording",
    "progress_bar",
]

__path__ = pkgutil.extend_path(__path__, __name__)

if not TYPE_CHECKING:
    _MODULES = {
        "config": ("PlaceConfig", "RetrievalConfig"),
        "data.sources": ("open_recording",),
        "errors": ("Any2AnyError",),
        "geometry.refiner": ("RefinerConfig",),
        "observation": ("Observation", "ObservationSet"),
        "ranking": ("Match", "Ranking"),
        "place_map": ("PlaceMap", "open_map"),
        "plugins": ("allow_module",),
        "progress": ("progress_bar",),
        "calibration.fitting": ("CalibrationConfig",),
        "retrieval.calibration": ("Calibration",),
        "samples": ("Scan", "Sound", "Step"),
        "trust.confidence": ("ConfidenceConfig",),
        "workflows.adopt": ("AdoptionOptions", "adopt"),
        "workflows.build_map": ("MapOptions", "build_map"),
        "workflows.calibrate": ("CalibrationOptions", "calibrate"),
        "workflows.evaluate": ("EvaluationOptions", "Report", "evaluate"),
    }
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name):
        if name == "__version__":
            return import_module(f"{__name__}.share").version()
        if name not in _MODULE_OF:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value  # from now on without this function
        return value

    def __dir__():
        return list(__all__)
