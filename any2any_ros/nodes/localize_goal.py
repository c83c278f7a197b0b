"""A goal of the action `localize`, and what became of it so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rclpy.action.server import ServerGoalHandle

import any2any_ros.action as action
from any2any_ros.errors import Any2AnyError
from any2any_ros.localization.one_shot import OneShot
from any2any_ros.localization.region import EVERYWHERE, Region
from any2any_ros.retrieval.opened_map import OpenedMap

LONGEST_TIMEOUT = 3600.0  # s


@dataclass(eq=False)
class Search:
    """A goal in progress.

    sensors: that may be used; empty: all. opened: the map in use when the goal came. limited: the part of it where the
    robot is known to be; None: it is being made.
    """

    goal: ServerGoalHandle
    sensors: tuple[str, ...]
    region: Region
    opened: OpenedMap
    found: OneShot
    limited: OpenedMap | None = None

    @classmethod
    def of(cls, goal: ServerGoalHandle, opened: OpenedMap, prior: Callable[[], Region]) -> Search:
        """Return the search for a goal. prior: where the robot is known to be, for a goal without a region. Raises
        Any2AnyError when the goal cannot be used."""
        sensors = tuple(goal.request.sensors)
        known = sorted({*opened.retriever.modalities, *opened.adopted})
        if strange := sorted(set(sensors) - set(known)):
            why = f"the map can be asked by {', '.join(known)}"
            raise Any2AnyError(f"Sensor '{strange[0]}' cannot be used", why, "Name sensors of the map, or none for all")
        region = region_of(goal.request)
        region = prior() if region == EVERYWHERE else region
        limited = opened if region.everywhere else None
        return cls(goal, sensors, region, opened, OneShot(sensors, region), limited)


def seconds_of(goal: ServerGoalHandle, usual: float) -> float:
    """Return how long a goal may take, s. usual: of one without a timeout."""
    timeout = goal.request.timeout
    if not 0 <= timeout < np.inf:
        raise Any2AnyError("The goal cannot be used", f"its timeout is {timeout}", "Give seconds, or 0 for the default")
    return min(timeout or usual, LONGEST_TIMEOUT)


def region_of(goal: action.Localize.Goal) -> Region:
    """Return where the robot is, as a goal says. Raises Any2AnyError when it cannot be used."""
    for given, value, without in (
        ("radius", goal.radius, goal.x or goal.y),
        ("yaw_range", goal.yaw_range, goal.yaw),
    ):
        if not 0 <= value < np.inf:
            raise Any2AnyError("The region cannot be used", f"its {given} is {value}", "Give 0 or more, and finite")
        if value == 0 and without:
            why = f"its {given} is 0, so that what it is around has no effect"
            raise Any2AnyError("The region cannot be used", why, f"Give a {given}, or leave the rest 0, too")
    radius, turned = goal.radius or np.inf, goal.yaw_range or np.pi
    return Region(goal.x, goal.y, radius, goal.yaw, turned)
