"""A model whose heads have learnt nothing, and a table that it looks at, for the tests of the grounder."""

from dataclasses import replace

import numpy as np

from any2any_ros import encoders
from any2any_ros.objects.camera_view import CameraView
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.heads import EMMA
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.sim.tabletop import CameraConfig

PLUGS = {"text": "text", "speech": "speech", "camera": "crop", "depth": "depth"}
WIDTH, HEIGHT, DIMS = 320, 240, 12
SMALL = CameraConfig(width=WIDTH, height=HEIGHT, focal=262.5)


def model(*modalities, seed=0):
    """Return a model with random heads on the real encoders."""
    built = {m: encoders.build(PLUGS[m]) for m in modalities}
    draw = np.random.default_rng(seed)
    mean = {m: np.zeros(e.dimension, np.float32) for m, e in built.items()}
    shapes = {m: (e.dimension, 16, 16, DIMS) for m, e in built.items()}
    layers = {f"{m}/{i}": (s[i], s[i + 1]) for m, s in shapes.items() for i in range(3)}
    heads = EMMA(
        mean, {m: x + np.float32(0.05) for m, x in mean.items()},
        {name: draw.normal(size=shape).astype(np.float32) for name, shape in layers.items()},
        {name: draw.normal(size=shape[1]).astype(np.float32) for name, shape in layers.items()},
    )  # fmt: skip
    return Model(heads, {m: EncoderRecord(PLUGS[m], e.fingerprint, e.dimension) for m, e in built.items()})


WHOLE = model("text", "camera", "depth")


def view_of(frame, **changes):
    whole = CameraView(frame.stamp_ns, frame.intrinsics, frame.pose, frame.rgb, frame.depth)
    return replace(whole, **changes)
