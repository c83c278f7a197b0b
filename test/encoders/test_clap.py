"""The sound of a place by CLAP: what transformers makes of it, in one space with its text half."""

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder
from any2any_ros.samples import Sound

NS = 1_000_000_000


@pytest.fixture
def encoder(tiny):
    return encoders.build("clap", {"model": str(tiny("clap"))})


def noise(seconds=1.0, rate=48000, seed=0):
    return Sound(np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32), rate)


def test_is_an_encoder_in_one_space_with_text(encoder, tiny):
    text = encoders.build("language", {"model": str(tiny("clap"))})
    assert isinstance(encoder, Encoder) and encoder.modality == "audio"
    assert encoder.space == text.space != "" and encoder.dimension == text.dimension == 24


def test_equals_the_whole_network(encoder, tiny):
    import torch
    from transformers import ClapFeatureExtractor, ClapModel

    given = ClapFeatureExtractor.from_pretrained(tiny("clap"))(
        noise().samples, sampling_rate=48000, return_tensors="pt"
    )
    with torch.no_grad():
        out = ClapModel.from_pretrained(tiny("clap")).eval().get_audio_features(input_features=given["input_features"])
    theirs = (out if torch.is_tensor(out) else out.pooler_output)[0].numpy()
    assert encoder.encode(noise()) @ theirs / np.linalg.norm(theirs) > 1 - 1e-5


def test_many_at_once_and_other_rates(encoder):
    some = [noise(1.0), noise(2.0, seed=1), noise(1.0, 16000, 2)]
    np.testing.assert_allclose(encoder.encode_batch(some), [encoder.encode(s) for s in some], atol=1e-5)


def test_the_last_seconds_of_a_stream_are_heard(encoder):
    heard = [encoder.gather(noise(0.5, seed=i), (i + 1) * NS // 2) for i in range(12)]
    assert heard[0] is None and len(heard[1].samples) == 48000 and len(heard[-1].samples) == 4 * 48000


def test_silence_is_refused(encoder):
    for samples in (np.zeros(48000, np.float32), np.full(48000, np.nan, np.float32), np.empty(0, np.float32)):
        with pytest.raises(Any2AnyError, match="empty, silent or not finite"):
            encoder.encode(Sound(samples, 48000))
