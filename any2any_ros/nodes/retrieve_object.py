"""The action `retrieve_object`: takes a typed or spoken command, and returns the object that it means."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from std_msgs.msg import Header

import any2any_ros.action as action
from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages
from any2any_ros.nodes.goal_results import GoalResults
from any2any_ros.nodes.lifecycle import STEADY, ManagedNode
from any2any_ros.objects.grounder import Verdict
from any2any_ros.ranking import Ranking
from any2any_ros.samples import Sound

Action = action.RetrieveObject
Result: TypeAlias = action.RetrieveObject.Result
CODES = {
    Verdict.FOUND: Result.OK, Verdict.NOT_FOUND: Result.NOT_FOUND, Verdict.AMBIGUOUS: Result.AMBIGUOUS,
    Verdict.NO_OBJECTS: Result.NO_OBJECTS, Verdict.NOT_CALIBRATED: Result.NOT_CALIBRATED,
}  # fmt: skip
NO_WORDS = "I heard somebody, but recognised no words; say it again, or type it"
LONGEST_TIMEOUT = 3600.0  # s

# Takes the words and the sound of a command; returns the ranking, its verdict, the answer in words, and the pose (4, 4)
# where the base can stand, if one object is meant.
Answer = Callable[[str, Sound | None], tuple[Ranking, Verdict, str, Float64 | None]]


class RetrieveObject:
    """The action server. It listens for at most one spoken command at a time; a newer goal supersedes the older one.

    No callback blocks. A typed command is answered at once. For a spoken command the goal handle is stored until
    somebody has spoken, the timeout has passed, or the goal is canceled.
    """

    def __init__(
        self, node: ManagedNode, frame_id: str, timeout: float, answer: Answer, listen: Callable[[bool], None]
    ) -> None:
        """timeout: default time to listen, s. answer: raises Any2AnyError on a command that holds nothing usable.

        listen: is called with True when a spoken command is waited for, and with False when it is no longer.
        """
        self._node, self._frame_id, self._timeout, self._answer, self._listen = node, frame_id, timeout, answer, listen
        self._lock = threading.RLock()
        self._listening: ServerGoalHandle | None = None
        self._results = GoalResults()
        self.active = False
        self._server = ActionServer(
            node, Action, "retrieve_object", self._results.execute, goal_callback=lambda goal: GoalResponse.ACCEPT,
            handle_accepted_callback=self._accept, cancel_callback=self._cancel,
        )  # fmt: skip
        self._deadline = node.create_timer(LONGEST_TIMEOUT, self._give_up, clock=STEADY)
        self._deadline.cancel()

    def destroy(self) -> None:
        self.stop()
        self._node.destroy_timer(self._deadline)
        self._server.destroy()

    def stop(self) -> None:
        """Refuse commands from now on, and end the goal that is listened for."""
        self.active = False
        self._end(Result.NOT_ACTIVE, "the node was deactivated")

    def hear(self, sound: Sound, words: str) -> None:
        """Answer the waiting goal with an utterance and its words. May be called from any thread."""
        with self._lock:
            goal = self._take()
            if goal is not None:
                self._feedback(goal, "heard", words)
                self._reply(goal, words, sound)

    def _accept(self, goal: ServerGoalHandle) -> None:
        with self._lock:
            self._end(Result.SUPERSEDED, "a newer command came")
            if not self.active:
                self._results.conclude(goal, Result(error_code=Result.NOT_ACTIVE, error_msg="the node is not active"))
            elif goal.request.text:
                self._reply(goal, goal.request.text, None)
            else:
                self._listening = goal
                self._listen(True)
                self._feedback(goal, "listening", "")
                seconds = goal.request.timeout if goal.request.timeout > 0 else self._timeout
                self._deadline.timer_period_ns = int(min(seconds, LONGEST_TIMEOUT) * 1e9)
                self._deadline.reset()

    def _cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        with self._lock:
            listening = self._listening
            if listening is None or bytes(listening.goal_id.uuid) != bytes(goal.goal_id.uuid):
                return CancelResponse.REJECT  # the goal is being answered
            self._end(Result.CANCELED, "canceled")  # the executor ends the goal after this callback has returned
        return CancelResponse.ACCEPT

    def _give_up(self) -> None:
        self._end(Result.NOTHING_HEARD, "nobody spoke in time")

    def _end(self, code: int, why: str) -> None:
        with self._lock:
            goal = self._take()
            if goal is not None:
                self._results.conclude(goal, Result(error_code=code, error_msg=why))

    def _take(self) -> ServerGoalHandle | None:
        """Return the goal that is listened for, and stop listening."""
        goal, self._listening = self._listening, None
        self._deadline.cancel()
        self._listen(False)
        return goal

    def _reply(self, goal: ServerGoalHandle, words: str, sound: Sound | None) -> None:
        self._feedback(goal, "ranking", words)
        try:
            ranking, verdict, text, goal_pose = self._answer(words, sound)
        except Any2AnyError as error:
            why = NO_WORDS if sound is not None and not words else str(error)
            self._results.conclude(goal, Result(error_code=Result.NOT_UNDERSTOOD, error_msg=why, heard=words))
            return
        result = Result(error_code=CODES[verdict], error_msg=text, heard=words)
        result.ranking = messages.ranking_message(ranking, self._frame_id)
        if goal_pose is not None:
            header = Header(stamp=result.ranking.header.stamp, frame_id=self._frame_id)
            result.goal_pose = PoseStamped(header=header, pose=messages.pose_message(goal_pose))
        self._results.conclude(goal, result)

    def _feedback(self, goal: ServerGoalHandle, state: str, heard: str) -> None:
        goal.publish_feedback(Action.Feedback(state=state, heard=heard))
