"""The action `localize`: says where the robot is now, by the answers that come until one place is sure."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle

import any2any_ros.action as action
from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError, error_text
from any2any_ros.localization.one_shot import Verdict
from any2any_ros.node_config import RetrievalNodeConfig
from any2any_ros.nodes import localization_messages as converted
from any2any_ros.nodes.goal_results import GoalResults
from any2any_ros.nodes.lifecycle import STEADY, ManagedNode
from any2any_ros.nodes.localize_goal import LONGEST_TIMEOUT, Search, seconds_of
from any2any_ros.nodes.prior import Prior
from any2any_ros.nodes.worker import Stopped, Worker
from any2any_ros.observation import Observation
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.limited import within
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.opened_map import OpenedMap

Action = action.Localize
Result: TypeAlias = action.Localize.Result
K = 10  # matches that are looked at: rivals of the best one


class Localize:
    """The action server. It works on one goal at a time; a newer goal supersedes the older one.

    No callback blocks: the part of the map in a goal's region is made in a thread, and moments are ranked as they come.
    """

    def __init__(
        self, node: ManagedNode, localizer: Localizer, odometry: Callable[[int], Float64 | None], hit_radius: float
    ) -> None:
        """odometry: as of the localizer. hit_radius: m."""
        self._node, self._localizer, self._odometry = node, localizer, odometry
        self.prior = Prior(node, localizer, hit_radius)
        self._search: Search | None = None
        self._results = GoalResults()
        self._worker = Worker(node, "region")
        self.active = False
        self._server = ActionServer(
            node, Action, "localize", self._results.execute, goal_callback=lambda goal: GoalResponse.ACCEPT,
            handle_accepted_callback=self._accept, cancel_callback=self._cancel,
        )  # fmt: skip
        self._deadline = node.create_timer(LONGEST_TIMEOUT, self._give_up, clock=STEADY)
        self._deadline.cancel()

    def open(self, config: RetrievalNodeConfig) -> None:
        """Accept goals from now on."""
        self.prior.open(config)
        self._patience, self.active = config.patience, True

    def destroy(self) -> None:
        self.close()
        self._worker.close()
        self._node.destroy_timer(self._deadline)
        self._server.destroy()

    def close(self) -> None:
        """Refuse goals from now on, and end the one in progress."""
        self.active = False
        self.prior.close()
        with suppress(AttributeError):  # rclpy's, when the executor has ended: nobody sends results any more
            self._end(Result.NOT_ACTIVE, "the node was deactivated")

    def offer(self, moment: Observation, ranking: Ranking) -> None:
        """Take a moment and its ranking by all sensors in the whole map."""
        search = self._search
        if search is None:
            return
        if self._localizer.map is not search.opened:
            self._end(Result.NO_MAP, "another map was loaded meanwhile: ask again")
        elif search.limited is not None:
            self._tell(search, self._ranked(search, search.limited, moment, ranking))

    def _ranked(self, search: Search, limited: OpenedMap, moment: Observation, ranking: Ranking) -> Ranking:
        if search.sensors:
            moment = moment.only(search.sensors)
        elif search.region.everywhere:
            return ranking
        return limited.rank(moment, K)

    def _tell(self, search: Search, ranking: Ranking) -> None:
        verdict = search.found.take(ranking, self._odometry(ranking.stamp_ns))
        best, probability = search.found.best
        search.goal.publish_feedback(
            Action.Feedback(sensors=list(search.found.seen), best=best, probability=float(probability))
        )
        if verdict is not None:
            self._finish(self._take(), self._result(verdict))

    # --- goals --------------------------------------------------------------------------------------------------

    def _accept(self, goal: ServerGoalHandle) -> None:
        self._end(Result.SUPERSEDED, "a newer goal came")
        if not self.active:
            return self._refuse(goal, Result.NOT_ACTIVE, "the node is not active")
        opened = self._localizer.map
        if opened is None:
            return self._refuse(goal, Result.NO_MAP, "no map is loaded: call ~/load_map")
        try:
            search, seconds = Search.of(goal, opened, self.prior.region), seconds_of(goal, self._patience)
        except Any2AnyError as error:
            return self._refuse(goal, Result.BAD_GOAL, str(error))
        if opened.retriever.confidence is None:
            return self._refuse(goal, Result.NOT_CALIBRATED, "the map is not calibrated: any2any calibrate")
        self._search = search
        self._deadline.timer_period_ns = int(seconds * 1e9)
        self._deadline.reset()
        if search.region.everywhere:
            search.limited = opened
        else:
            assert self._node.executor is not None
            self._node.executor.create_task(self._limit(search))

    async def _limit(self, search: Search) -> None:
        """Make the part of the map where the robot is known to be."""
        try:
            search.limited = await self._worker.result(partial(within, search.opened, search.region))
        except Stopped:  # the goal has ended, too
            return
        except Any2AnyError as error:
            self._end_of(search, Result.UNMAPPED, str(error))
        except Exception as error:  # whatever is wrong with the map, the client gets a result
            self._end_of(search, Result.NO_MAP, error_text(error))

    def _cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        search = self._search
        if search is None or bytes(search.goal.goal_id.uuid) != bytes(goal.goal_id.uuid):
            return CancelResponse.REJECT  # it has ended already
        self._end(Result.CANCELED, "canceled")  # the executor ends the goal after this callback has returned
        return CancelResponse.ACCEPT

    def _give_up(self) -> None:
        search = self._take()
        if search is not None:
            self._finish(search, self._result(search.found.give_up()))

    def _end(self, code: int, why: str) -> None:
        search = self._take()
        if search is not None:
            self._refuse(search.goal, code, why)

    def _end_of(self, search: Search, code: int, why: str) -> None:
        if self._search is search:
            self._end(code, why)

    def _take(self) -> Search | None:
        """Return the search in progress, and forget it."""
        search, self._search = self._search, None
        self._deadline.cancel()
        return search

    def _result(self, verdict: Verdict) -> Result:
        assert self._localizer.reference is not None
        result = Result(error_code=int(verdict.code), error_msg=verdict.why)
        result.probability, result.places = float(verdict.probability), list(verdict.places)
        result.pose = converted.verdict_pose(verdict, self._localizer.reference.frame_id)
        return result

    def _refuse(self, goal: ServerGoalHandle, code: int, why: str) -> None:
        self._results.conclude(goal, Result(error_code=code, error_msg=why, pose=converted.nowhere()))

    def _finish(self, search: Search | None, result: Result) -> None:
        if search is not None:
            self._results.conclude(search.goal, result)
