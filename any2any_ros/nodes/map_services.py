"""The services beside the stream: rank on request, add a place, load and save the map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from any2any_ros import encoders, msg, srv
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages
from any2any_ros.observation import Embedding, Observation, ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import ReferenceMap

if TYPE_CHECKING:
    from any2any_ros.nodes.retrieval_node import RetrievalNode


class MapServices:
    """~/rank, ~/add_place, ~/load_map and ~/save_map of a retrieval node."""

    def __init__(self, node: RetrievalNode) -> None:
        self._node = node
        self._text_encoder: Any = None
        self._folder: Path | None = Path(node.config.map) if node.config.map else None
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
        node = self._node
        if node.reference is None or node.retriever is None:
            return _fail(response, response.NO_MAP, "no map is loaded: call ~/load_map")
        try:
            observation = self._asked(request.embeddings, request.text)
            ranking = node.retriever.rank(observation, request.k or node.k)
        except Any2AnyError as error:
            return _fail(response, response.BAD_INPUT, str(error))
        if not observation.embeddings:
            return _fail(response, response.NOTHING_ALIVE, "no sensor is alive, and nothing was given")
        response.ranking = messages.ranking_message(ranking, node.reference.frame_id)
        return response

    def _add_place(self, request: srv.AddPlace.Request, response: srv.AddPlace.Response) -> srv.AddPlace.Response:
        node = self._node
        if node.reference is None or node.retriever is None:
            return _fail(response, response.NO_MAP, "no map is loaded: call ~/load_map")
        try:
            observation = self._asked(request.embeddings, "")
            if not observation.embeddings:
                return _fail(response, response.NOTHING_ALIVE, "no sensor is alive, and no embedding was given")
            name = request.id or f"added/{len(node.reference):06d}"
            place = ObservationSet(
                {m: v[None] for m, v in observation.embeddings.items()}, self._pose(request)[None], (name,)
            )
            node.reference = node.reference.with_places(place)
            node.retriever.add(place)
        except Any2AnyError as error:
            return _fail(response, response.BAD_INPUT, str(error))
        response.id = name
        return response

    @staticmethod
    def _pose(request: srv.AddPlace.Request) -> Any:
        try:
            pose = messages.pose_array(request.pose)
        except ValueError as error:
            raise Any2AnyError("Cannot add a place", f"its pose is none: {error}", "Give a unit quaternion") from error
        if not np.isfinite(pose).all():
            raise Any2AnyError("Cannot add a place", "its pose is not finite", "Give a finite pose")
        return pose

    def _load_map(self, request: srv.LoadMap.Request, response: srv.LoadMap.Response) -> srv.LoadMap.Response:
        try:
            response.places = self._node.use_map(Path(request.path))
        except Any2AnyError as error:
            return _fail(response, response.BAD_MAP, str(error))
        self._folder, self._text_encoder = Path(request.path), None
        return response

    def _save_map(self, request: srv.SaveMap.Request, response: srv.SaveMap.Response) -> srv.SaveMap.Response:
        reference = self._node.reference
        folder = Path(request.path) if request.path else self._folder
        if reference is None or folder is None:
            return _fail(response, response.NO_MAP, "no map is loaded, or no path was given")
        try:
            reference_map.save(reference, folder)
        except Any2AnyError as error:
            return _fail(response, response.NOT_WRITTEN, str(error))
        response.places = len(reference)
        return response

    def _asked(self, given: Sequence[msg.Embedding], text: str) -> Observation:
        """Return what a request names: its embeddings and its text, or else what is alive now."""
        reference = self._node.reference
        assert reference is not None
        embeddings = [messages.embedding(message) for message in given]
        if text:
            embeddings.append(self._read(reference, text))
        for embedding in embeddings:
            reference.check(embedding)
        if not embeddings:
            return self._node.assembler.now(self._node.now_ns())
        return Observation({e.modality: e.vector for e in embeddings}, max(e.stamp_ns for e in embeddings))

    def _read(self, reference: ReferenceMap, text: str) -> Embedding:
        """Encode a text as the map's own text was."""
        record = reference.encoders.get("text")
        if record is None:
            raise Any2AnyError(
                "Cannot rank by a text", f"map '{reference.name}' holds no text", "Build a map with captions"
            )
        self._text_encoder = self._text_encoder or encoders.build(record.plug, record.settings)
        vector = self._text_encoder.encode(text)
        return Embedding("text", vector, self._node.now_ns(), encoder=self._text_encoder.fingerprint)


def _fail(response: Any, code: int, why: str) -> Any:
    response.error_code, response.error_msg = code, why
    return response
