"""Messages of sensors: as objects, as serialised bytes, and as samples that encoders take."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from any2any_ros import cdr, samples

from .boundary import Boundary
from .choices import Choices
from .ros_messages import damaged, header, make, mutated_message, serialised

# kind of sample -> dtype, axes, length of the last axis (0: any)
SHAPES = {
    "image": (np.uint8, 3, 3), "depth": (np.float32, 2, 0), "thermal": (np.float32, 2, 0), "cloud": (np.float32, 2, 4),
    "points": (np.float32, 2, 4), "timed_cloud": (np.float32, 2, 0),
}  # fmt: skip
KINDS = {
    "image": "sensor_msgs/msg/Image",
    "depth": "sensor_msgs/msg/Image",
    "thermal": "sensor_msgs/msg/Image",
    "plane image": "sensor_msgs/msg/Image",
    "compressed image": "sensor_msgs/msg/CompressedImage",
    "compressed depth": "sensor_msgs/msg/CompressedImage",
    "compressed thermal": "sensor_msgs/msg/CompressedImage",
    "cloud": "sensor_msgs/msg/PointCloud2",
    "timed_cloud": "sensor_msgs/msg/PointCloud2",
    "scan": "sensor_msgs/msg/LaserScan",
    "echo scan": "sensor_msgs/msg/MultiEchoLaserScan",
    "sound": "any2any_ros/msg/AudioStamped",
    "text": "std_msgs/msg/String",
}


# --- valid messages ---------------------------------------------------------------------------------------------------


def image(choices: Choices, encodings: Any) -> Any:
    encoding = choices.choice(sorted(encodings))
    entry = encodings[encoding]
    dtype = entry if isinstance(entry, str) else entry[0]
    channels = entry[1] if isinstance(entry, tuple) and isinstance(entry[1], int) else 1
    height, width = choices.randint(1, 9), 2 * choices.randint(1, 5)
    used = width * channels * np.dtype(dtype).itemsize
    step = used + choices.one(0, 0, 3)
    data = choices.arrays.integers(0, 255, height * step).astype(np.uint8)
    return make(
        KINDS["image"], header=header(choices), height=height, width=width, encoding=encoding, step=step, data=data,
        is_bigendian=choices.one(0, 1),
    )  # fmt: skip


def planes(choices: Choices) -> Any:
    encoding = choices.choice(sorted(samples.PLANE_ENCODINGS))
    height, width = 2 * choices.randint(1, 5), 2 * choices.randint(1, 5)
    step = width + choices.one(0, 0, 2)
    rows = height * samples.PLANE_ENCODINGS[encoding][0] // 2
    data = choices.arrays.integers(0, 255, rows * step).astype(np.uint8)
    return make(
        KINDS["image"], header=header(choices), height=height, width=width, encoding=encoding, step=step, data=data
    )


@cache
def _pictures() -> tuple[tuple[str, np.ndarray], ...]:
    import cv2

    draw = np.random.default_rng(0)
    colour = draw.integers(0, 255, (9, 12, 3)).astype(np.uint8)
    deep = draw.integers(0, 60000, (9, 12)).astype(np.uint16)
    made = {"jpeg": (".jpg", colour), "png": (".png", colour), "grey": (".png", colour[..., 0]), "deep": (".png", deep)}
    return tuple((name, cv2.imencode(end, pixels)[1].ravel()) for name, (end, pixels) in made.items())


def picture(choices: Choices) -> bytes:
    """Return a PNG or JPEG file."""
    return choices.choice(_pictures())[1].tobytes()


def compressed(choices: Choices, grey: bool = False) -> Any:
    name, data = choices.choice(_pictures()[2 if grey else 0 :])
    return make(KINDS["compressed image"], header=header(choices), format=name, data=data)


def compressed_depth(choices: Choices) -> Any:
    """Return a PNG of 16 bits, with or without a header before it."""
    quantisation = np.array([0, 1000, -20], "<f4").view(np.uint8)
    data = _pictures()[-1][1]
    return make(
        KINDS["compressed depth"], header=header(choices),
        format=choices.one("16UC1; compressedDepth png", "32FC1; compressedDepth png", "png"),
        data=choices.one(np.concatenate([quantisation, data]), data),
    )  # fmt: skip


def cloud(choices: Choices, others: tuple[str, ...] = ()) -> Any:
    names = ("x", "y", "z", "intensity", *others)
    types = [choices.one(7, 7, 7, 8, 1, 4) for _ in names]
    fields, offset = [], choices.one(0, 0, 2)
    for name, kind in zip(names, types, strict=True):
        fields.append(make("sensor_msgs/msg/PointField", name=name, offset=offset, datatype=kind, count=1))
        offset += int(samples.POINT_TYPES[kind][1])
    height, width, step = choices.one(1, 1, 3), choices.randint(0, 30), offset + choices.one(0, 0, 5)
    row = width * step + choices.one(0, 0, 7)
    data = choices.arrays.integers(0, 255, height * row).astype(np.uint8)
    if all(kind == 7 for kind in types) and step == 16 and row == 16 * width:
        data = choices.arrays.normal(0, 20, (height * width, 4)).astype("<f4").ravel().view(np.uint8)
    return make(
        KINDS["cloud"], header=header(choices), height=height, width=width, fields=fields, point_step=step,
        row_step=row, data=data, is_bigendian=choices.one(False, False, True),
    )  # fmt: skip


def scan(choices: Choices) -> Any:
    count = choices.randint(0, 400)
    return make(
        KINDS["scan"], header=header(choices), angle_min=-np.pi, angle_max=np.pi,
        angle_increment=2 * np.pi / max(count, 1), range_min=0.1, range_max=30.0,
        ranges=choices.arrays.uniform(0, 31, count).astype(np.float32),
    )  # fmt: skip


def echo_scan(choices: Choices) -> Any:
    echoes = [choices.arrays.uniform(0, 31, choices.randint(0, 3)).astype(np.float32) for _ in range(choices.one(0, 9))]
    beams = [make("sensor_msgs/msg/LaserEcho", echoes=echo) for echo in echoes]
    return make(
        KINDS["echo scan"], header=header(choices), angle_min=-1.0, angle_max=1.0, angle_increment=0.1,
        range_min=0.1, range_max=choices.one(30.0, 0.0), ranges=beams,
    )  # fmt: skip


def sound(choices: Choices) -> Any:
    encoding = choices.one("S16LE", "F32LE")
    count, channels = choices.randint(0, 2000), choices.randint(1, 3)
    loud = choices.arrays.uniform(-0.5, 0.5, count * channels)
    data = (loud * 32767).astype("<i2") if encoding == "S16LE" else loud.astype("<f4")
    return make(
        KINDS["sound"], header=header(choices), sample_rate=choices.one(8000, 16000, 44100), channels=channels,
        encoding=encoding, data=data.view(np.uint8),
    )  # fmt: skip


def text(choices: Choices) -> Any:
    return make(KINDS["text"], data=choices.one("a red house by the road", "mill", "", "ein Bécher", "x" * 5000))


VALID = {
    "image": partial(image, encodings=samples.IMAGE_ENCODINGS),
    "depth": partial(image, encodings=samples.DEPTH_ENCODINGS),
    "thermal": partial(image, encodings=samples.THERMAL_ENCODINGS),
    "plane image": planes,
    "compressed image": compressed,
    "compressed depth": compressed_depth,
    "compressed thermal": partial(compressed, grey=True),
    "cloud": cloud,
    "timed_cloud": lambda choices: cloud(choices, (choices.one("t", "time", "timestamp"),)),
    "scan": scan,
    "echo scan": echo_scan,
    "sound": sound,
    "text": text,
}


# --- what a sample must be --------------------------------------------------------------------------------------------


def wrong_sample(kind: str, sample: Any) -> str:
    """Return what is wrong with a sample of a kind; "" for nothing."""
    kind = kind.split()[-1]
    if kind == "scan":
        finite = np.isfinite([sample.angle_min, sample.angle_increment]).all() and sample.range_max > 0
        return "" if finite and sample.ranges.dtype == np.float32 else f"a scan of {vars(sample)}"
    if kind == "sound":
        finite = np.isfinite(sample.samples).all() and sample.samples.dtype == np.float32 and sample.rate > 0
        return "" if finite else f"a sound of {sample.rate} Hz with samples that are not finite"
    if kind == "text":
        return "" if isinstance(sample, str) else f"a text of {type(sample)}"
    return _wrong_array(kind, sample)


def _wrong_array(kind: str, sample: np.ndarray) -> str:
    dtype, axes, last = SHAPES[kind]
    if sample.dtype != dtype or sample.ndim != axes or (last and sample.shape[-1] != last):
        return f"{kind} of {sample.dtype} {sample.shape}"
    if kind == "depth" and not (np.isnan(sample) | (np.isfinite(sample) & (sample > 0))).all():
        return "a depth that is no distance"
    return "a point that is not finite" if kind == "cloud" and not np.isfinite(sample).all() else ""


def _decoded(kind: str, message: Any) -> Any:
    samples.stamp_ns(message)
    return samples.decode(KINDS[kind], message, kind.split()[-1])


def _from_bytes(data: tuple[str, bytes]) -> Any:
    kind, raw = data
    return _decoded(kind, cdr.read(raw, KINDS[kind]))


def _any_bytes(choices: Choices) -> tuple[str, bytes]:
    kind = choices.choice(sorted(KINDS))
    return kind, serialised(VALID[kind](choices))


def _damaged(choices: Choices, data: tuple[str, bytes]) -> tuple[str, bytes]:
    return data[0], damaged(choices, data[1])


BOUNDARIES = tuple(
    Boundary(
        f"message: {kind}",
        VALID[kind],
        partial(_decoded, kind),
        lambda given, sample, kind=kind: wrong_sample(kind, sample),
        mutated_message,
    )
    for kind in KINDS
) + (
    Boundary(
        "message: serialised", _any_bytes, _from_bytes, lambda given, sample: wrong_sample(given[0], sample), _damaged
    ),
)
