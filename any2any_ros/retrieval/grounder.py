"""Objects in use: pictures in as they come, answers to commands out. The grounding node without ROS."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Array, Observation, Ranking
from any2any_ros.retrieval import grounding
from any2any_ros.retrieval.grounding import Model
from any2any_ros.retrieval.object_memory import MemoryConfig, ObjectMemory, Remembered, Sighting
from any2any_ros.retrieval.proposals import Box, ProposalConfig, framed, propose
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.samples import Sound

Float64 = NDArray[np.float64]
HALF = 0.5  # probability from which the object is taken to be there
BEHIND = 0.06  # m: what is measured so far behind an object's middle was seen through where it stood
SIDES = np.array([[i >> k & 1 for k in range(3)] for i in range(8)], dtype=bool)  # the corners of a box


class Verdict(Enum):
    """What becomes of a command."""

    FOUND = "found"
    NOT_FOUND = "not found"
    AMBIGUOUS = "ambiguous"
    NO_OBJECTS = "no objects"
    NOT_CALIBRATED = "not calibrated"


@dataclass(frozen=True, eq=False)
class Look:
    """One moment of the cameras: rgb (H, W, 3) uint8 and depth (H, W) float32 metres, registered, either may be None.

    intrinsics (3, 3); pose (4, 4): map from the camera's optical frame; boxes: where a detector sees things, where
    there is one.
    """

    stamp_ns: int
    intrinsics: Float64
    pose: Float64
    rgb: NDArray[np.uint8] | None = None
    depth: Array | None = None
    boxes: tuple[Box, ...] | None = None


class Grounder:
    """Remembers what it is shown and finds what it is asked for. Raises Any2AnyError on unusable input."""

    def __init__(
        self,
        model: Model,
        memory: MemoryConfig = MemoryConfig(),
        proposals: ProposalConfig = ProposalConfig(),
    ) -> None:
        self.model, self._proposals = model, proposals
        self.memory = ObjectMemory(model.reference_records(), memory)
        self._encoders = {m: model.encoder(m) for m in (*model.said, *model.seen)}
        self._retriever: Retriever | None = None
        self._version = -1
        self.refused = 0  # pictures and sounds that an encoder could not use

    @classmethod
    def open(cls, folder: Path, **settings: Any) -> Grounder:
        """Return one that uses the model in `folder`."""
        return cls(grounding.load(folder), **settings)

    # --- seeing -------------------------------------------------------------------------------------------------

    def see(self, look: Look) -> list[Remembered]:
        """Take what the cameras show; return the objects that are seen.

        Without depth nothing new can be told from the table; what is known is looked at again where it stands.
        """
        if look.depth is None:
            return self._refresh(look)
        things = propose(look.depth, look.intrinsics, look.pose, self._proposals)
        if look.boxes is not None:
            things = [t for t in things if any(_overlap(t.box, b) for b in look.boxes)]
        sightings = [Sighting(self._encoded(look, t.box), t.low, t.high) for t in things]
        seen = [s for s in sightings if s.embeddings]
        return self.memory.see(seen, look.stamp_ns, lambda known: [looked_through(look, o.centre) for o in known])

    def _refresh(self, look: Look) -> list[Remembered]:
        if look.rgb is None:
            return []
        found = {}
        for known in self.memory.believed:
            box = seen_box(known, look, look.rgb.shape)
            if box is not None and (embeddings := self._encoded(look, framed(box, look.rgb.shape, self._proposals))):
                found[known.id] = embeddings
        self.memory.refresh(found, look.stamp_ns)
        return [o for o in self.memory.believed if o.id in found]

    def _encoded(self, look: Look, box: Box) -> dict[str, Array]:
        """Return what the alive cameras make of one box; what cannot be used is missing, and counted."""
        left, top, right, bottom = box
        pictures = {"camera": look.rgb, "depth": look.depth}
        found = {}
        for m in self.model.seen:
            picture = pictures[m]
            if picture is not None:
                try:
                    found[m] = self._encoders[m].encode(picture[top:bottom, left:right])
                except Any2AnyError:
                    self.refused += 1
        return found

    # --- answering ----------------------------------------------------------------------------------------------

    def said(self, text: str = "", speech: Sound | None = None, stamp_ns: int = 0) -> Observation:
        """Return a command as an observation; raise Any2AnyError where there is nothing in it to go by."""
        found, why = {}, f"nothing was said that this model hears ({', '.join(self.model.said)})"
        for m, x in {"text": text.strip() or None, "speech": speech}.items():
            if x is not None and m in self.model.said:
                try:
                    found[m] = self._encoders[m].encode(x)
                except Any2AnyError as error:  # the other may still do
                    why = error.why
        if not found:
            raise Any2AnyError(
                "There is no command", why, 'Say what to look for: "the blue mug"',
            )  # fmt: skip
        return Observation(found, stamp_ns)

    def answer(self, command: Observation, k: int = 5) -> Ranking:
        """Return the k objects most likely meant; none where none is remembered."""
        if self._version != self.memory.version:
            self._retriever = self.model.calibrated_or_not().retriever(self.memory.as_map())
            self._version = self.memory.version
        assert self._retriever is not None
        return self._retriever.rank(command, k)

    def verdict(self, ranking: Ranking) -> Verdict:
        """Return what the answer is worth to a robot that is to fetch the object."""
        if not ranking.matches:
            return Verdict.NO_OBJECTS
        probability = np.array([m.probability for m in ranking.matches])
        if np.isnan(probability).any():
            return Verdict.NOT_CALIBRATED
        if ranking.accepted:
            return Verdict.FOUND
        return Verdict.AMBIGUOUS if ranking.presence >= HALF else Verdict.NOT_FOUND

    def say(self, ranking: Ranking, verdict: Verdict) -> str:
        """Return the answer in words."""
        if verdict is Verdict.NO_OBJECTS:
            return "I have seen no objects yet"
        first = ranking.matches[0]
        x, y, z = first.pose[:3, 3].tolist()
        where = f"{first.id} at ({x:.2f}, {y:.2f}, {z:.2f})"
        if verdict is Verdict.FOUND:
            return f"It is {where}, I am {first.probability:.0%} sure"
        if verdict is Verdict.NOT_CALIBRATED:
            return f"Most alike is {where}; the model is not calibrated, so I cannot say how sure that is"
        if verdict is Verdict.NOT_FOUND:
            return f"I see no such object; most alike is {where}, {first.probability:.0%}"
        likely = [m for m in ranking.matches if m.id in ranking.place_set]
        if len(likely) < 2:
            return f"It may be {where}, {first.probability:.0%}; that is not sure enough"
        return "Which of these? " + ", ".join(f"{m.id} ({m.probability:.0%})" for m in likely)

    def recall(self, folder: Path) -> None:
        """Remember what is kept in a folder instead; raises Any2AnyError where other heads made it."""
        self.memory = ObjectMemory.load(folder, self.model.reference_records(), self.memory.config)
        self._version = -1


def looked_through(look: Look, centre: Float64) -> bool:
    """Return whether the depth picture shows something behind a point (3,) of the map, so that nothing is there."""
    assert look.depth is not None
    pixel, away = _pixel(look, centre)
    height, width = look.depth.shape
    if away <= 0 or not (0 <= pixel[0] < width and 0 <= pixel[1] < height):
        return False
    column, row = int(pixel[0]), int(pixel[1])
    around = look.depth[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
    known = around[np.isfinite(around)]
    return bool(len(known)) and float(np.median(known)) > away + BEHIND


def seen_box(known: Remembered, look: Look, shape: tuple[int, ...]) -> Box | None:
    """Return where an object's box is in a picture of this shape; None where not the whole of it is inside."""
    corners = np.where(SIDES, known.high, known.low)
    seen = [_pixel(look, c) for c in corners]
    if min(away for _, away in seen) <= 0:
        return None
    pixels = np.array([pixel for pixel, _ in seen])
    left, top = (int(x) for x in np.floor(pixels.min(axis=0)))
    right, bottom = (int(x) for x in np.ceil(pixels.max(axis=0)))
    inside = left >= 0 and top >= 0 and right <= shape[1] and bottom <= shape[0]
    return (left, top, right, bottom) if inside and right - left > 1 and bottom - top > 1 else None


def _pixel(look: Look, point: Float64) -> tuple[Float64, float]:
    """Return pixel (2,) and depth of a point (3,) of the map."""
    seen = look.pose[:3, :3].T @ (point - look.pose[:3, 3])
    projected = look.intrinsics @ seen
    return projected[:2] / max(abs(float(seen[2])), 1e-9), float(seen[2])


def _overlap(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])
