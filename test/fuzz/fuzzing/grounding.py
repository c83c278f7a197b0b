"""What a grounding node is sent: pictures, poses, detections, commands, sound. Needs rclpy."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from any2any_ros import encoders
from any2any_ros.hearing import endpoint
from any2any_ros.node_config import GroundingNodeConfig
from any2any_ros.nodes import messages
from any2any_ros.nodes.cameras import Cameras
from any2any_ros.nodes.lifecycle import ManagedNode
from any2any_ros.objects.grounder import Grounder
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.heads import EMMA
from any2any_ros.objects.remembered_object import Sighting
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.samples import decode, stamp_ns

from . import ros
from .boundary import Boundary
from .choices import Choices
from .mutation import text
from .ros import refuse
from .ros_messages import damaged, header, make, mutated_message, serialised
from .sensor_messages import sound
from .stored import wrong_ranking

AUDIO = "any2any_ros/msg/AudioStamped"
TOPICS = ("/camera/camera_info", "/camera/pose", "/camera/image_raw", "/depth/image_raw")


@cache
def untrained() -> Model:
    """Return a model whose heads have learnt nothing."""
    draw = np.random.default_rng(0)
    made = {m: encoders.build(plug) for m, plug in {"camera": "crop", "depth": "depth", "text": "text"}.items()}
    widths = {m: (e.dimension, 8, 8, 8) for m, e in made.items()}
    layers = [(m, i, widths[m][i : i + 2]) for m in widths for i in range(3)]
    heads = EMMA(
        {m: np.zeros(w[0], np.float32) for m, w in widths.items()},
        {m: np.ones(w[0], np.float32) for m, w in widths.items()},
        {f"{m}/{i}": 0.1 * draw.normal(size=shape).astype(np.float32) for m, i, shape in layers},
        {f"{m}/{i}": draw.normal(size=shape[1]).astype(np.float32) for m, i, shape in layers},
    )
    return Model(heads, {m: EncoderRecord.of(encoder) for m, encoder in made.items()})


@cache
def knowing() -> Grounder:
    """Return a grounder that remembers three objects."""
    grounder, draw = Grounder(untrained()), np.random.default_rng(0)
    for i in range(3):
        vectors = {m: draw.normal(size=8).astype(np.float32) for m in ("camera", "depth")}
        grounder.memory.see([Sighting(vectors, np.full(3, float(i)), np.full(3, i + 0.2))], i)
    return grounder


class Seeing:
    """Cameras over a grounder, in a node."""

    def __init__(self) -> None:
        self.node = ManagedNode("grounding")
        self.grounder = Grounder(untrained())
        self.views = 0
        self.detected = Cameras(self.node, GroundingNodeConfig(detections_topic=""), self._see)
        self.detected.open()
        self.take_raw = {s.topic_name: s.callback for s in self.detected._subscriptions}

    def close(self) -> None:
        self.detected.close()
        self.node.destroy_node()

    def _see(self, view: Any) -> None:
        self.views += 1
        self.grounder.see(view)

    def take(self, given: dict[str, Any]) -> Any:
        self.detected.views.clear()
        if len(self.grounder.memory) > 50:
            self.grounder = Grounder(untrained())
        refused, views = self.detected.refused.count, self.views
        self.detected._detections(_as_object(given["detections"]))
        for topic in TOPICS:
            message = given[topic]
            self.take_raw[topic](message if isinstance(message, bytes) else serialised(message), {})
        self.detected.state()
        if self.views == views or self.detected.refused.count > refused:
            refuse("no view, or one without all of its messages")
        return self.grounder.memory.believed


def _as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: _as_object(v) for key, v in value.items()})
    return [_as_object(v) for v in value] if isinstance(value, list) else value


def _view(choices: Choices) -> dict[str, Any]:
    """Return the messages of a camera 1 m above a table with a box on it."""
    height, width, same = 60, 80, header(choices)
    depth = 1000 + choices.arrays.normal(0, 1, (height, width))
    depth[20:35, 30:50] -= 80
    colour = choices.arrays.integers(0, 255, (height, width, 3)).astype(np.uint8)
    down = make("geometry_msgs/msg/Quaternion", x=1.0)
    above = make("geometry_msgs/msg/Pose", position=make("geometry_msgs/msg/Point", z=1.0), orientation=down)
    k = np.array([60.0, 0, 40, 0, 60, 30, 0, 0, 1])
    box = {"center": {"position": {"x": 40.0, "y": 27.0}}, "size_x": 20.0, "size_y": 15.0}
    stamp = {"stamp": {"sec": 3, "nanosec": 250_000_000}}
    return {
        "/camera/camera_info": make("sensor_msgs/msg/CameraInfo", header=same, height=height, width=width, k=k),
        "/camera/pose": make("geometry_msgs/msg/PoseStamped", header=same, pose=above),
        "/camera/image_raw": make(
            "sensor_msgs/msg/Image", header=same, height=height, width=width, encoding="rgb8", step=3 * width,
            data=colour.ravel(),
        ),
        "/depth/image_raw": make(
            "sensor_msgs/msg/Image", header=same, height=height, width=width, encoding="16UC1", step=2 * width,
            data=depth.astype("<u2").ravel().view(np.uint8),
        ),
        "detections": {"header": stamp, "detections": [{"bbox": box}]},
    }  # fmt: skip


def _other_view(choices: Choices, given: dict[str, Any]) -> dict[str, Any]:
    name = choices.choice(sorted(given))
    value = given[name]
    if name == "detections":
        detections = [{"bbox": _floats(choices, d["bbox"])} for d in value["detections"]]
        return {**given, name: {**value, "detections": detections * choices.one(0, 1, 5)}}
    if isinstance(value, bytes) or choices.often(0.3):
        return {**given, name: damaged(choices, value if isinstance(value, bytes) else serialised(value))}
    return {**given, name: mutated_message(choices, value)}


def _floats(choices: Choices, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(choices, v) for key, v in value.items()}
    return float(choices.one(value, value, *(np.nan, np.inf, -5.0, 1e30, 1e300, 0.0)))


def _wrong_objects(given: Any, objects: Any) -> str:
    bad = [o for o in objects if not (np.isfinite([o.low, o.high]).all() and (o.low <= o.high).all())]
    return f"an object from {bad[0].low} to {bad[0].high}" if bad else ""


def _goal(choices: Choices) -> dict[str, Any]:
    words = choices.one("bring me the blue mug", "the apple", "x")
    return {"text": words, "sound": sound(choices) if choices.often(0.2) else None}


def _command(given: dict[str, Any]) -> Any:
    grounder = knowing()
    speech = None if given["sound"] is None else decode(AUDIO, given["sound"], "sound")
    ranking = grounder.answer(grounder.command(given["text"], speech, 5), 5)
    verdict = grounder.verdict(ranking)
    messages.ranking_message(ranking, "map")
    return ranking, grounder.in_words(ranking, verdict)


def _other_goal(choices: Choices, given: dict[str, Any]) -> dict[str, Any]:
    if given["sound"] is not None and choices.often(0.5):
        return {**given, "sound": mutated_message(choices, given["sound"])}
    return {**given, "text": text(choices, given["text"]).encode("utf-8", "ignore").decode()}


def _utterances(chunks: list[Any]) -> Any:
    hears, found = endpoint.build(), []
    for chunk in chunks:
        found.append(hears.hear(decode(AUDIO, chunk, "sound"), stamp_ns(chunk) or 0))
    return [utterance for utterance in found if utterance is not None]


def _chunks(choices: Choices) -> list[Any]:
    return [sound(choices) for _ in range(choices.randint(1, 4))]


def _other_chunk(choices: Choices, chunks: list[Any]) -> list[Any]:
    at = choices.randrange(len(chunks))
    return [*chunks[:at], mutated_message(choices, chunks[at]), *chunks[at + 1 :]]


BOUNDARIES = (
    Boundary(
        "grounding node: view", _view, lambda given: ros.once(Seeing).take(given), _wrong_objects, _other_view,
        milliseconds=15, seconds=3.0,
    ),
    Boundary(
        "grounding node: goal", _goal, _command, lambda given, result: wrong_ranking(result[0]), _other_goal,
        milliseconds=3,
    ),
    Boundary("grounding node: sound", _chunks, _utterances, mutate=_other_chunk, milliseconds=1, seconds=2.0),
)  # fmt: skip
