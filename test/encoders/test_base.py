"""What encoders have in common is said once, and an encoder may do without it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from any2any_ros.config import Settings, setting
from any2any_ros.encoders import ENCODERS
from any2any_ros.encoders._base import BaseEncoder, fingerprint, unit_vector
from any2any_ros.protocols import Encoder


@dataclass(frozen=True)
class MeanConfig(Settings):
    """Settings of an encoder for this test."""

    bins: int = setting(2, "dimensions of the embedding", minimum=1)


class MeanEncoder(BaseEncoder[MeanConfig]):
    plug, modality, accepts, topic = "mean", "mean", "sound", "mean"
    Config = MeanConfig

    @property
    def dimension(self):
        return self.config.bins

    def encode(self, sample):
        return unit_vector(np.full(self.config.bins, sample.samples.mean()))


def test_a_subclass_says_only_what_is_its_own():
    encoder = MeanEncoder()
    assert isinstance(encoder, Encoder) and encoder.config == MeanConfig()
    assert (encoder.keeps, encoder.space, encoder.focal) == (1, "", None)
    assert encoder.gather("a sample", 5) == "a sample"
    assert encoder.fingerprint == fingerprint("mean", 1, MeanConfig())
    assert MeanEncoder(MeanConfig(bins=3)).dimension == 3


def test_the_base_is_no_plug():
    assert "plug" not in vars(BaseEncoder) and not any(cls is BaseEncoder for cls in ENCODERS.all())


def test_plug_revision_and_settings_tell_fingerprints_apart():
    settings = ENCODERS.find("text").Config()
    assert fingerprint("text", 1, settings) == fingerprint("text", 1, replace(settings))
    others = {
        fingerprint("text", 2, settings),
        fingerprint("lidar", 1, settings),
        fingerprint("text", 1, replace(settings, bins=64)),
    }
    assert len(others | {fingerprint("text", 1, settings)}) == 4
    assert fingerprint("text", 1, settings).startswith("text-1-")


def test_unit_keeps_zeros_and_makes_float32():
    assert unit_vector(np.zeros(3)).tolist() == [0, 0, 0]
    assert (
        unit_vector(np.array([3.0, 4.0])).tolist() == pytest.approx([0.6, 0.8])
        and unit_vector(np.ones(2)).dtype == np.float32
    )
