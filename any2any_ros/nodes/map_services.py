"""The services of the retrieval node: rank on request, add a place, load and save the map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import any2any_ros.srv as srv
from any2any_ros import limits
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages
from any2any_ros.nodes.lifecycle import ManagedNode
from any2any_ros.observation import Embedding, ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.localizer import Localizer


class MapServices:
    """The services ~/rank, ~/add_place, ~/load_map and ~/save_map of a node with a localizer."""

    def __init__(self, node: ManagedNode, localizer: Localizer, use_map: Callable[[Path], int]) -> None:
        """use_map: opens a map and returns its number of places."""
        self._node, self._localizer, self._use_map = node, localizer, use_map
        self._services = [
            node.create_service(srv.Rank, "~/rank", self._rank),
            node.create_service(srv.AddPlace, "~/add_place", self._add_place),
            node.create_service(srv.LoadMap, "~/load_map", self._load_map),
            node.create_service(srv.SaveMap, "~/save_map", self._save_map),
        ]

    def destroy(self) -> None:
        for service in self._services:
            self._node.destroy_service(service)

    def _rank(self, request: srv.Rank.Request, response: srv.Rank.Response) -> srv.Rank.Response:
        reference = self._localizer.reference
        if reference is None:
            return _fail(response, response.NO_MAP, "no map is loaded: call ~/load_map")
        try:
            limits.check("a request", request.k, limits.MATCHES, "as its k", "Ask for fewer matches")
            limits.check("a request", len(request.text), limits.CHARACTERS, "characters", "Give a shorter text")
            observation = self._localizer.observation(_embeddings(request), request.text, self._node.now_ns())
            ranking = self._localizer.rank(observation, request.k)
        except Any2AnyError as error:
            return _fail(response, response.BAD_INPUT, str(error))
        if not observation.embeddings:
            return _fail(response, response.NOTHING_ALIVE, "no sensor is alive, and the request is empty")
        response.ranking = messages.ranking_message(ranking, reference.frame_id)
        return response

    def _add_place(self, request: srv.AddPlace.Request, response: srv.AddPlace.Response) -> srv.AddPlace.Response:
        reference = self._localizer.reference
        if reference is None:
            return _fail(response, response.NO_MAP, "no map is loaded: call ~/load_map")
        try:
            observation = self._localizer.observation(_embeddings(request), "", self._node.now_ns())
            if not observation.embeddings:
                return _fail(response, response.NOTHING_ALIVE, "no sensor is alive, and the request has no embedding")
            name = request.id or f"added/{len(reference):06d}"
            columns = {m: v[None] for m, v in observation.embeddings.items()}
            self._localizer.add_place(ObservationSet(columns, messages.pose_array(request.pose)[None], (name,)))
        except Any2AnyError as error:
            return _fail(response, response.BAD_INPUT, str(error))
        response.id = name
        return response

    def _load_map(self, request: srv.LoadMap.Request, response: srv.LoadMap.Response) -> srv.LoadMap.Response:
        try:
            response.places = self._use_map(Path(request.path))
        except Any2AnyError as error:
            return _fail(response, response.BAD_MAP, str(error))
        return response

    def _save_map(self, request: srv.SaveMap.Request, response: srv.SaveMap.Response) -> srv.SaveMap.Response:
        opened = self._localizer.map
        if opened is None:
            return _fail(response, response.NO_MAP, "no map is loaded: call ~/load_map")
        try:
            reference_map.save(opened.reference, Path(request.path) if request.path else opened.folder)
        except Any2AnyError as error:
            return _fail(response, response.NOT_WRITTEN, str(error))
        response.places = len(opened.reference)
        return response


def _embeddings(request: srv.Rank.Request | srv.AddPlace.Request) -> list[Embedding]:
    limits.check("a request", len(request.embeddings), limits.EMBEDDINGS, "embeddings", "Give one of each modality")
    return [messages.embedding(message) for message in request.embeddings]


def _fail(response: Any, code: int, why: str) -> Any:
    response.error_code, response.error_msg = code, why
    return response
