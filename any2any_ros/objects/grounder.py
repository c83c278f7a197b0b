"""Objects in use: pictures in as they come, answers to commands out. The grounding node without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects import grounding_model
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.object_memory import MemoryConfig, ObjectMemory, Remembered, Sighting
from any2any_ros.objects.proposals import LAYER, Box, ProposalConfig, framed, points, propose
from any2any_ros.observation import Observation
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.samples import Sound

HALF = 0.5  # probability from which the object is taken to be there
FOOT = 0.5  # of an object's height, at most, that may be its support
EMPTY = 0.05  # share of the pixels that may still be measured inside of an object that is gone
KNOWN = 0.5  # share of the pixels that must show what is beside and behind it
SAMPLES = 24  # pixels along the shorter side of its box that are looked at
SAME_FOCAL = 0.01  # difference of two focal lengths that does not matter
CORNERS = np.array(list(np.ndindex(2, 2, 2)), dtype=bool)  # of a box


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
    there is one. Raises Any2AnyError where these are none, or do not fit together.
    """

    stamp_ns: int
    intrinsics: Float64
    pose: Float64
    rgb: NDArray[np.uint8] | None = None
    depth: Array | None = None
    boxes: tuple[Box, ...] | None = None

    def __post_init__(self) -> None:
        rgb, depth = (None if picture is None else np.shape(picture) for picture in (self.rgb, self.depth))
        why = ""
        if (rgb is not None and rgb[2:] != (3,)) or (depth is not None and len(depth) != 2):
            why = f"colour of shape {rgb} and depth of shape {depth} are no pictures"
        elif rgb and depth and rgb[:2] != depth:
            why = f"depth is {depth[1]}x{depth[0]}, colour {rgb[1]}x{rgb[0]}"
        elif np.shape(self.intrinsics) != (3, 3) or not self.intrinsics[0, 0] * self.intrinsics[1, 1] > 0:
            why = "the intrinsics are not those of a camera"
        elif np.shape(self.pose) != (4, 4) or not np.isfinite(self.pose).all():
            why = "its pose is not known"
        if why:
            raise Any2AnyError("Cannot use the cameras", why, "Calibrate it; publish depth registered to colour")


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
        self._version = 0  # of the memory that the retriever was made from
        self.refused = 0  # pictures that an encoder could not use

    @classmethod
    def open(
        cls, folder: Path, memory: MemoryConfig = MemoryConfig(), proposals: ProposalConfig = ProposalConfig()
    ) -> Grounder:
        """Return one that uses the model in `folder`."""
        return cls(grounding_model.load(folder), memory, proposals)

    # --- seeing -------------------------------------------------------------------------------------------------

    def see(self, look: Look) -> list[Remembered]:
        """Take what the cameras show; return the objects that are seen.

        Without depth nothing new can be told from the table; what is known is looked at again where it stands.
        """
        if look.depth is None:
            return self._refresh(look)
        things = propose(look.depth, look.intrinsics, look.pose, self._proposals)
        if look.boxes is not None:
            things = [t for t in things if any(_alike(t.box, b) for b in look.boxes)]
        sightings = [Sighting(self._encoded(look, t.box), t.low, t.high) for t in things]
        known = [s for s in sightings if s.embeddings]
        return self.memory.see(known, look.stamp_ns, lambda objects: looked_through(look, objects))

    def _refresh(self, look: Look) -> list[Remembered]:
        if look.rgb is None:
            return []
        shape = look.rgb.shape
        boxes = seen_boxes(look, self.memory.believed, shape)
        encoded = {name: self._encoded(look, framed(box, shape, self._proposals)) for name, box in boxes.items()}
        found = {name: embeddings for name, embeddings in encoded.items() if embeddings}
        self.memory.refresh(found, look.stamp_ns)
        return [o for o in self.memory.believed if o.id in found]

    def _encoded(self, look: Look, box: Box) -> dict[str, Array]:
        """Return what the alive cameras make of one box; what cannot be used is missing, and counted."""
        left, top, right, bottom = box
        pictures = {"camera": look.rgb, "depth": look.depth}
        alive = {m: x[top:bottom, left:right] for m in self.model.seen if (x := pictures[m]) is not None}
        found = {}
        for m, crop in alive.items():
            try:
                found[m] = self._encoders[m].encode(self._as_trained(m, crop, look))
            except Any2AnyError:
                self.refused += 1
        return found

    def _as_trained(self, modality: str, crop: NDArray[Any], look: Look) -> NDArray[Any]:
        """Return a crop as the camera would take it whose focal length its encoder counts on, where it does."""
        focal = self._encoders[modality].encoder.focal
        times = 1.0 if focal is None else focal / float(look.intrinsics[0, 0])
        if abs(times - 1) < SAME_FOCAL:
            return crop
        rows, columns = ((np.arange(max(1, round(n * times))) / times).astype(np.intp) for n in crop.shape[:2])
        return np.asarray(crop[np.ix_(rows.clip(0, crop.shape[0] - 1), columns.clip(0, crop.shape[1] - 1))])

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
            raise Any2AnyError("There is no command", why, 'Say what to look for: "the blue mug"')
        return Observation(found, stamp_ns)

    def answer(self, command: Observation, k: int = 5) -> Ranking:
        """Return the k objects most likely meant; none where none is remembered."""
        if self._retriever is None or self._version != self.memory.version:
            self._retriever = self.model.calibrated_or_not().retriever(self.memory.as_map())
            self._version = self.memory.version
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
            return f"Perhaps it is {where}, I am {first.probability:.0%} sure"
        return "Which of these? " + ", ".join(f"{m.id} ({m.probability:.0%})" for m in likely)

    def recall(self, folder: Path) -> None:
        """Remember what is kept in a folder instead; raises Any2AnyError where other heads made it."""
        self.memory = ObjectMemory.load(folder, self.model.reference_records(), self.memory.config)
        self._retriever = None


def looked_through(look: Look, objects: Sequence[Remembered]) -> list[bool]:
    """Return of which objects the depth picture shows that they are gone: the whole of the place where one stood is in
    it, most of what is beside and behind was measured, and hardly anything rises inside."""
    assert look.depth is not None
    boxes = seen_boxes(look, objects, look.depth.shape)
    return [o.id in boxes and _gone(look, look.depth, o, boxes[o.id]) for o in objects]


def _gone(look: Look, depth: Array, known: Remembered, box: Box) -> bool:
    left, top, right, bottom = box
    step = max(1, min(right - left, bottom - top) // SAMPLES)
    window = depth[top:bottom:step, left:right:step]
    intrinsics = (look.intrinsics - [[0, 0, left], [0, 0, top], [0, 0, 0]]) / [[step], [step], [1]]
    where = points(window, intrinsics, look.pose)
    foot = np.array([0, 0, min(LAYER / 2, FOOT * (known.high - known.low)[2])])
    nearest = _pixels(look, np.where(CORNERS, known.high, known.low))[1].min()
    with np.errstate(invalid="ignore"):
        inside = ((known.low + foot <= where) & (where <= known.high)).all(axis=-1)
        around = (window >= nearest) & ~inside
    return bool(inside.mean() <= EMPTY and around.mean() >= KNOWN)


def seen_boxes(look: Look, objects: Sequence[Remembered], shape: tuple[int, ...]) -> dict[str, Box]:
    """Return where objects' boxes are in a picture of this shape (H, W), by their ids: if whole in it."""
    low, high = (np.reshape([getattr(o, side) for o in objects], (-1, 1, 3)) for side in ("low", "high"))
    pixels, away = _pixels(look, np.where(CORNERS, high, low))
    first, end = np.floor(pixels.min(axis=1)), np.ceil(pixels.max(axis=1))
    whole = (away.min(axis=1) > 0) & ((first >= 0) & (end <= shape[1::-1]) & (end - first > 1)).all(axis=1)
    sides = np.hstack([first, end])
    return {objects[i].id: _box(sides[i]) for i in np.flatnonzero(whole).tolist()}


def _box(sides: Float64) -> Box:
    left, top, right, bottom = (int(side) for side in sides)
    return left, top, right, bottom


def _pixels(look: Look, points: Float64) -> tuple[Float64, Float64]:
    """Return pixels (..., 2) and depths (...) of points (..., 3) of the map."""
    seen = (points - look.pose[:3, 3]) @ look.pose[:3, :3]
    projected = seen @ look.intrinsics.T
    return projected[..., :2] / np.maximum(np.abs(seen[..., 2:]), 1e-9), seen[..., 2]


def _alike(a: Box, b: Box) -> bool:
    """Return whether the middle of one box is inside of the other."""
    return _holds(a, (b[0] + b[2]) / 2, (b[1] + b[3]) / 2) or _holds(b, (a[0] + a[2]) / 2, (a[1] + a[3]) / 2)


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]
