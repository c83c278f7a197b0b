"""Answers commands: remembers the objects that the cameras show, and finds the one that a command means.

This is the grounding node without ROS: camera views go in, answers come out.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits
from any2any_ros.arrays import Array, Float64
from any2any_ros.config import RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects import grounding_model
from any2any_ros.objects.approach import stand
from any2any_ros.objects.camera_view import CameraView, boxes_in_view, seen_gone
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.object_memory import MemoryConfig, ObjectMemory
from any2any_ros.objects.proposals import Box, ProposalConfig, framed, propose
from any2any_ros.objects.remembered_object import RememberedObject, Sighting
from any2any_ros.observation import Observation
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.samples import Sound

PRESENT = 0.5  # probability from which the object that is meant is taken to be among the remembered ones
SAME_FOCAL = 0.01  # relative difference of two focal lengths that does not matter


class Verdict(Enum):
    """What the answer to a command is worth to a robot that fetches the object."""

    FOUND = "found"
    NOT_FOUND = "not found"
    AMBIGUOUS = "ambiguous"
    NO_OBJECTS = "no objects"
    NOT_CALIBRATED = "not calibrated"


class Grounder:
    """Remembers objects and answers commands. Raises Any2AnyError on unusable input."""

    def __init__(
        self,
        model: Model,
        memory: MemoryConfig = MemoryConfig(),
        proposals: ProposalConfig = ProposalConfig(),
    ) -> None:
        self.model, self._proposals = model, proposals
        self.memory = ObjectMemory(model.reference_records(), memory)
        self._encoders = {m: model.encoder(m) for m in (*model.command_modalities, *model.object_modalities)}
        self._retriever: Retriever | None = None
        self._version = 0  # version of the memory that the retriever was made from
        self.refused = 0  # number of pictures that an encoder could not use
        self._seen_from: Float64 | None = None  # position (3,) of the camera in the map, in the newest view

    @classmethod
    def open(
        cls, folder: Path, memory: MemoryConfig = MemoryConfig(), proposals: ProposalConfig = ProposalConfig()
    ) -> Grounder:
        """Return a grounder that uses the model in `folder`."""
        return cls(grounding_model.load(folder), memory, proposals)

    # --- seeing -------------------------------------------------------------------------------------------------

    def see(self, view: CameraView) -> list[RememberedObject]:
        """Take one camera view; return the objects that it shows.

        Without depth, new objects cannot be separated from the table; only known objects then get further vectors.
        """
        self._seen_from = view.pose[:3, 3]
        if view.depth is None:
            return self._refresh(view)
        proposals = propose(view.depth, view.intrinsics, view.pose, self._proposals)
        if view.boxes is not None:
            proposals = [p for p in proposals if any(_same_place(p.box, box) for box in view.boxes)]
        sightings = [Sighting(self._encoded(view, p.box), p.low, p.high) for p in proposals]
        usable = [s for s in sightings if s.embeddings]
        return self.memory.see(usable, view.stamp_ns, lambda objects: seen_gone(view, objects))

    def _refresh(self, view: CameraView) -> list[RememberedObject]:
        """Add the colour vectors of believed objects that lie wholly in the picture."""
        if view.rgb is None:
            return []
        shape = view.rgb.shape
        boxes = boxes_in_view(view, self.memory.believed, shape)
        encoded = {id: self._encoded(view, framed(box, shape, self._proposals)) for id, box in boxes.items()}
        usable = {id: embeddings for id, embeddings in encoded.items() if embeddings}
        self.memory.refresh(usable, view.stamp_ns)
        return [o for o in self.memory.believed if o.id in usable]

    def _encoded(self, view: CameraView, box: Box) -> dict[str, Array]:
        """Return the vectors of one box by modality. A crop that an encoder refuses is left out and counted."""
        left, top, right, bottom = box
        pictures = {"camera": view.rgb, "depth": view.depth}
        crops = {m: x[top:bottom, left:right] for m in self.model.object_modalities if (x := pictures[m]) is not None}
        vectors = {}
        for m, crop in crops.items():
            try:
                vectors[m] = self._encoders[m].encode(self._at_trained_focal(m, crop, view))
            except Any2AnyError:
                self.refused += 1
        return vectors

    def _at_trained_focal(self, modality: str, crop: NDArray[Any], view: CameraView) -> NDArray[Any]:
        """Return the crop resized to the focal length that its encoder was trained with; unchanged if it has none."""
        focal = self._encoders[modality].encoder.focal
        scale = 1.0 if focal is None else focal / float(view.intrinsics[0, 0])
        if abs(scale - 1) < SAME_FOCAL:
            return crop
        rows, columns = ((np.arange(max(1, round(n * scale))) / scale).astype(np.intp) for n in crop.shape[:2])
        return np.asarray(crop[np.ix_(rows.clip(0, crop.shape[0] - 1), columns.clip(0, crop.shape[1] - 1))])

    # --- answering ----------------------------------------------------------------------------------------------

    def command(self, text: str = "", speech: Sound | None = None, stamp_ns: int = 0) -> Observation:
        """Return a command, typed, spoken or both, as an observation.

        Raises Any2AnyError when it is too long, and when none of it can be encoded.
        """
        limits.check("a command", len(text), limits.CHARACTERS, "characters", "Say what to look for in a sentence")
        modalities = self.model.command_modalities
        vectors, why = {}, f"the command has nothing that this model reads ({', '.join(modalities)})"
        for m, sample in {"text": text.strip() or None, "speech": speech}.items():
            if sample is not None and m in modalities:
                try:
                    vectors[m] = self._encoders[m].encode(sample)
                except Any2AnyError as error:  # the other modality may still be usable
                    why = error.why
        if not vectors:
            raise Any2AnyError("There is no command", why, 'Say what to look for: "the blue mug"')
        return Observation(vectors, stamp_ns)

    def answer(self, command: Observation, k: int = RetrievalConfig.k) -> Ranking:
        """Return the k objects that the command most probably means; no match when no object is remembered."""
        if self._retriever is None or self._version != self.memory.version:
            self._retriever = Retriever(self.memory.as_map(), self.model.calibrated_or_not())
            self._version = self.memory.version
        return self._retriever.rank(command, k)

    def verdict(self, ranking: Ranking) -> Verdict:
        """Return what an answer is worth to a robot that fetches the object."""
        if not ranking.matches:
            return Verdict.NO_OBJECTS
        probability = np.array([m.probability for m in ranking.matches])
        if np.isnan(probability).any():
            return Verdict.NOT_CALIBRATED
        if ranking.accepted:
            return Verdict.FOUND
        return Verdict.AMBIGUOUS if ranking.presence >= PRESENT else Verdict.NOT_FOUND

    def goal(self, ranking: Ranking, distance: float) -> Float64 | None:
        """Return where a base can stand to fetch the best match (approach.stand); None where no one object is meant.

        distance: metres from the object to the base.
        """
        if self._seen_from is None or self.verdict(ranking) not in (Verdict.FOUND, Verdict.NOT_CALIBRATED):
            return None
        target = next(o for o in self.memory.believed if o.id == ranking.matches[0].id)
        return stand(target, self._seen_from, distance)

    def in_words(self, ranking: Ranking, verdict: Verdict) -> str:
        """Return the answer as a sentence for the user."""
        if verdict is Verdict.NO_OBJECTS:
            return "I have seen no objects yet"
        best = ranking.matches[0]
        x, y, z = best.pose[:3, 3].tolist()
        where = f"{best.id} at ({x:.2f}, {y:.2f}, {z:.2f})"
        if verdict is Verdict.FOUND:
            return f"It is {where}, I am {best.probability:.0%} sure"
        if verdict is Verdict.NOT_CALIBRATED:
            return f"Most similar is {where}; the model is not calibrated, so I cannot say how sure that is"
        if verdict is Verdict.NOT_FOUND:
            return f"I see no such object; most similar is {where}, {best.probability:.0%}"
        likely = [m for m in ranking.matches if m.id in ranking.place_set]
        if len(likely) < 2:
            return f"Perhaps it is {where}, I am {best.probability:.0%} sure"
        return "Which of these? " + ", ".join(f"{m.id} ({m.probability:.0%})" for m in likely)

    def load_objects(self, folder: Path) -> None:
        """Replace the remembered objects by those in a folder. Raises Any2AnyError when other heads made them."""
        self.memory = ObjectMemory.load(folder, self.model.reference_records(), self.memory.config)
        self._retriever = None


def _same_place(a: Box, b: Box) -> bool:
    """Return whether the centre of one box lies inside of the other."""
    return _holds(a, (b[0] + b[2]) / 2, (b[1] + b[3]) / 2) or _holds(b, (a[0] + a[2]) / 2, (a[1] + a[3]) / 2)


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
