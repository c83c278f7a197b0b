"""The results of an action server whose goals are ended by any callback, and answered by the executor."""

from __future__ import annotations

from typing import Any

from rclpy.action.server import ServerGoalHandle


class GoalResults:
    """Keeps the result of each goal until the executor sends it. A result with error_code 0 is a success."""

    def __init__(self) -> None:
        self._results: dict[bytes, Any] = {}

    def conclude(self, goal: ServerGoalHandle, result: Any) -> None:
        """Let the executor end a goal with this result."""
        self._results[bytes(goal.goal_id.uuid)] = result
        goal.execute()

    def execute(self, goal: ServerGoalHandle) -> Any:
        """Return the result of a goal, and end it: the executor's callback."""
        result = self._results.pop(bytes(goal.goal_id.uuid))
        if goal.is_cancel_requested:
            goal.canceled()
        elif result.error_code == 0:
            goal.succeed()
        else:
            goal.abort()
        return result
