"""What is added to observations before they are compared. One imputer a file, chosen by its `plug`.

Fitting an imputer is learning/imputers.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from any2any_ros import storage
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.plugins import Registry
from any2any_ros.protocols import Imputer

IMPUTERS: Registry[Imputer] = Registry("imputer", __name__, Imputer)
LATENT = "~latent"  # the modality that an imputer adds; sorts last, so that the sensors' columns keep their places


def sensors(modalities: Iterable[str]) -> tuple[str, ...]:
    """Return the modalities without the one that an imputer adds, which no sensor observes."""
    return tuple(m for m in modalities if m != LATENT)


def save(imputer: Imputer, path: Path) -> None:
    """Write the fitted state of an imputer to path.npz; nothing for NO_IMPUTER, which has none."""
    if imputer is not NO_IMPUTER:
        storage.save(imputer, path)


def load(plug: str, path: Path) -> Imputer:
    """Return the imputer `plug` that `save` wrote to `path`; raise Any2AnyError when it is missing or damaged."""
    return NO_IMPUTER if plug == NO_IMPUTER.plug else storage.load(path, IMPUTERS)
