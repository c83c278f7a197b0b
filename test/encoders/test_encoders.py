"""What is promised of every encoder, whichever it is."""

import zlib
from dataclasses import fields, replace

import numpy as np
import pytest

from any2any_ros import config, encoders, samples
from any2any_ros.encoders import ENCODERS
from any2any_ros.encoders.networks.encoder import NetworkEncoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder
from any2any_ros.samples import Scan, Sound

g = np.random.default_rng(0)
# An expression each, for another process makes its own.
SAMPLES = {
    "audio": "Sound(g.normal(0, 0.1, 8000).astype(np.float32), 8000)",
    "birds_eye": "g.normal(0, 10, (2000, 4)).astype(np.float32)",
    "camera": "g.integers(0, 256, (48, 96, 3)).astype(np.uint8)",
    "crop": "g.integers(0, 256, (48, 40, 3)).astype(np.uint8)",
    "depth": "g.normal(1.0, 0.01, (48, 40)).astype(np.float32)",
    "laser_scan": "Scan(g.uniform(1, 9, 360).astype(np.float32), -np.pi, np.pi / 180, 30.0)",
    "laser_submap": "Scan(g.uniform(1, 9, 360).astype(np.float32), -np.pi, np.pi / 180, 30.0)",
    "lidar": "g.normal(0, 10, (2000, 4)).astype(np.float32)",
    "lidar_submap": "g.normal(0, 10, (2000, 5)).astype(np.float32)",
    "speech": "Sound(g.normal(0, 0.1, 8000).astype(np.float32), 8000)",
    "text": "'two red houses, and a bakery'",
    "thermal": "g.normal(29000, 300, (48, 64)).astype(np.float32)",
}


def sample(plug):
    return eval(SAMPLES[plug], {"g": np.random.default_rng(0), "np": np, "Sound": Sound, "Scan": Scan})


def test_every_encoder_without_weights_is_here():
    with_weights = {n for n in ENCODERS.names() if issubclass(ENCODERS.find(n), NetworkEncoder)}
    assert set(SAMPLES) == {*ENCODERS.names()} - with_weights - {"sentence"}


@pytest.mark.parametrize("plug", SAMPLES)
def test_has_what_an_encoder_must_have(plug):
    encoder = encoders.build(plug)
    assert isinstance(encoder, Encoder) and encoder.plug == plug
    assert samples.types_of(encoder.accepts) and encoder.keeps >= 1 and not encoder.topic.startswith("/")
    assert encoder.config == type(encoder).Config()


@pytest.mark.parametrize("plug", SAMPLES)
def test_gives_a_unit_vector_of_float32_as_long_as_declared(plug):
    encoder = encoders.build(plug)
    vector = encoder.encode(sample(plug))
    assert vector.dtype == np.float32 and vector.shape == (encoder.dimension,) and vector.flags["C_CONTIGUOUS"]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("plug", SAMPLES)
def test_leaves_the_sample_as_it_was(plug):
    one, other = sample(plug), sample(plug)
    encoders.build(plug).encode(one)
    assert repr(one) == repr(other)
    parts = [
        v
        for s in (one, other)
        for v in ([s] if isinstance(s, np.ndarray) else vars(s).values() if hasattr(s, "__dict__") else [])
    ]
    for mine, its in zip(parts[: len(parts) // 2], parts[len(parts) // 2 :], strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("plug", SAMPLES)
def test_encoding_twice_gives_the_same_bits(plug):
    encoder = encoders.build(plug)
    first = encoder.encode(sample(plug)).tobytes()
    assert encoder.encode(sample(plug)).tobytes() == first == encoders.build(plug).encode(sample(plug)).tobytes()


@pytest.mark.parametrize("plug", SAMPLES)
def test_other_processes_give_the_same_bits(plug, checksum):
    """A map is made in one process and asked in another; nothing may hang on hash seeds or threads."""
    here = zlib.crc32(encoders.build(plug).encode(sample(plug)).tobytes())
    assert checksum(plug, SAMPLES[plug], seed=1) == here


@pytest.mark.parametrize("plug", SAMPLES)
def test_every_setting_is_in_the_fingerprint(plug):
    cls = ENCODERS.find(plug)
    default, seen = cls.Config(), {cls().fingerprint}
    for f in config.fields(default):
        m, value = f.metadata, getattr(default, f.name)
        if m["choices"]:
            other = next(c for c in m["choices"] if c != value)
        else:
            other = value * 0.9 if isinstance(value, float) else value + 1
        seen.add(cls(replace(default, **{f.name: other})).fingerprint)
    assert len(seen) == 1 + len(fields(default))


@pytest.mark.parametrize("plug", SAMPLES)
def test_raising_the_revision_changes_the_fingerprint(plug, monkeypatch):
    cls = ENCODERS.find(plug)
    before = cls().fingerprint
    monkeypatch.setattr(cls, "revision", cls.revision + 1)
    assert cls().fingerprint != before


def test_an_unknown_setting_or_plug_is_refused():
    with pytest.raises(Any2AnyError, match="Unknown setting 'ring'"):
        encoders.build("lidar", {"ring": 3})
    with pytest.raises(Any2AnyError, match="There is no encoder 'radar'"):
        encoders.build("radar")


@pytest.mark.parametrize(
    ("modality", "kind", "plug"),
    [
        ("camera", "camera", "camera"), ("camera_front", "camera", "camera"), ("camera_2", "camera", "camera"),
        ("lidar_left", "lidar", "birds_eye"), ("laser_scan_rear", "laser_scan", "laser_submap"),
        ("laser_scan", "laser_scan", "laser_submap"), ("radar_left", "radar_left", "radar_left"),
        ("cameras", "cameras", "cameras"),
    ],
)  # fmt: skip
def test_a_free_name_begins_with_its_kind(modality, kind, plug):
    assert encoders.kind(modality) == kind and encoders.default(modality) == plug
