"""The services of the retrieval node: rank on request, add a place, load and save the map."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup

import any2any_ros.srv as srv
from any2any_ros import limits
from any2any_ros.errors import Any2AnyError, error_text
from any2any_ros.nodes import messages
from any2any_ros.nodes.lifecycle import STEADY, ManagedNode, diagnostic
from any2any_ros.nodes.map_loading import Busy, MapLoading
from any2any_ros.nodes.process_health import RECENT
from any2any_ros.nodes.worker import Stopped, Worker
from any2any_ros.observation import Embedding
from any2any_ros.retrieval import map_copy
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.opened_map import OpenedMap

T = TypeVar("T")


class MapServices:
    """The services ~/rank, ~/add_place, ~/load_map and ~/save_map of a node with a localizer.

    What takes long is done in threads, so that no request delays the answers on `matches`.
    """

    def __init__(self, node: ManagedNode, localizer: Localizer, use_map: Callable[[OpenedMap], None]) -> None:
        """use_map: puts an opened map in the place of the one in use."""
        self._node, self._localizer = node, localizer
        self.loading = MapLoading(node, localizer, use_map)
        self._saving, self._encoding = Worker(node, "saving"), Worker(node, "text")
        self._error, self._failed_at = "", float("-inf")  # of the last request to load or save that failed
        self._waiting = 0  # requests that wait for a thread; meanwhile other callbacks run
        # A second request to rank or to save waits for the first. A second one to load is refused at once.
        groups = {"rank": MutuallyExclusiveCallbackGroup(), "save": MutuallyExclusiveCallbackGroup()}
        self._services = [
            node.create_service(srv.Rank, "~/rank", self._rank, callback_group=groups["rank"]),
            node.create_service(srv.AddPlace, "~/add_place", self._add_place),
            node.create_service(srv.LoadMap, "~/load_map", self._load_map, callback_group=ReentrantCallbackGroup()),
            node.create_service(srv.SaveMap, "~/save_map", self._save_map, callback_group=groups["save"]),
        ]

    def destroy(self) -> None:
        """End the work in the threads, and the services. Requests that wait are answered when the node spins again."""
        for part in (self.loading, self._saving, self._encoding):
            part.close()
        if self._waiting:
            self._timer = self._node.create_timer(0.01, self._destroy_soon, clock=STEADY)
        else:
            self._destroy()

    def _destroy_soon(self) -> None:
        if not self._waiting:
            self._node.destroy_timer(self._timer)
            self._destroy()

    def _destroy(self) -> None:
        for service in self._services:
            self._node.destroy_service(service)

    def status(self) -> DiagnosticStatus:
        """Return one diagnostic line. A request that failed is named for RECENT seconds."""
        level, text = self.loading.state()
        if self._error and time.monotonic() - self._failed_at <= RECENT:
            level, text = max(level, DiagnosticStatus.WARN), f"{text}; {self._error}"
        opened = self._localizer.map
        name, folder = ("", "") if opened is None else (opened.reference.name, str(opened.folder))
        line = f"{self._node.label}: map"
        return diagnostic(level, line, text, map=name, folder=folder, last_error=self._error)

    def _failed(self, response: Any, code: int, error: Exception) -> Any:
        self._error, self._failed_at = error_text(error), time.monotonic()
        return _fail(response, code, self._error)

    async def _wait_for(self, work: Awaitable[T]) -> T:
        self._waiting += 1
        try:
            return await work
        finally:
            self._waiting -= 1

    async def _rank(self, request: srv.Rank.Request, response: srv.Rank.Response) -> srv.Rank.Response:
        opened = self._localizer.map
        if opened is None:
            return _fail(response, response.NO_MAP, "no map is loaded: call ~/load_map")
        try:
            limits.check("a request", request.k, limits.MATCHES, "as its k", "Ask for fewer matches")
            limits.check("a request", len(request.text), limits.CHARACTERS, "characters", "Give a shorter text")
            embeddings = _embeddings(request)
            if request.text:
                encode = partial(opened.encode, request.text, self._node.now_ns())
                embeddings.append(await self._wait_for(self._encoding.result(encode)))
            observation = self._localizer.observation(embeddings, self._node.now_ns())
            ranking = self._localizer.rank(observation, request.k)
        except Any2AnyError as error:
            return _fail(response, response.BAD_INPUT, str(error))
        if not observation.embeddings:
            return _fail(response, response.NOTHING_ALIVE, "no sensor is alive, and the request is empty")
        assert self._localizer.reference is not None
        response.ranking = messages.ranking_message(ranking, self._localizer.reference.frame_id)
        return response

    def _add_place(self, request: srv.AddPlace.Request, response: srv.AddPlace.Response) -> srv.AddPlace.Response:
        reference = self._localizer.reference
        if reference is None:
            return _fail(response, response.NO_MAP, "no map is loaded: call ~/load_map")
        try:
            observation = self._localizer.observation(_embeddings(request), self._node.now_ns())
            if not observation.embeddings:
                return _fail(response, response.NOTHING_ALIVE, "no sensor is alive, and the request has no embedding")
            name = request.id or f"added/{len(reference):06d}"
            self._localizer.add_place(observation.as_set(messages.pose_array(request.pose), name))
        except Any2AnyError as error:
            return _fail(response, response.BAD_INPUT, str(error))
        response.id = name
        return response

    async def _load_map(self, request: srv.LoadMap.Request, response: srv.LoadMap.Response) -> srv.LoadMap.Response:
        try:
            response.places = await self._wait_for(self.loading.load(Path(request.path)))
        except Busy as error:
            return _fail(response, response.BUSY, str(error))
        except Stopped as error:
            return _fail(response, response.STOPPED, str(error))
        except Exception as error:  # whatever is wrong with the map, the client waits for a reply
            return self._failed(response, response.BAD_MAP, error)
        self._error = ""
        return response

    async def _save_map(self, request: srv.SaveMap.Request, response: srv.SaveMap.Response) -> srv.SaveMap.Response:
        opened = self._localizer.map
        if opened is None:
            return _fail(response, response.NO_MAP, "no map is loaded: call ~/load_map")
        reference, folder = opened.reference, Path(request.path) if request.path else opened.folder
        try:
            await self._wait_for(self._saving.result(partial(map_copy.save, reference, opened.folder, folder)))
        except Exception as error:
            return self._failed(response, response.NOT_WRITTEN, error)
        self._error = ""
        response.places = len(reference)
        return response


def _embeddings(request: srv.Rank.Request | srv.AddPlace.Request) -> list[Embedding]:
    limits.check("a request", len(request.embeddings), limits.EMBEDDINGS, "embeddings", "Give one of each modality")
    return [messages.embedding(message) for message in request.embeddings]


def _fail(response: Any, code: int, why: str) -> Any:
    response.error_code, response.error_msg = code, why
    return response
