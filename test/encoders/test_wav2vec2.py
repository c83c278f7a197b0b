"""Utterances by wav2vec 2: what transformers makes of them, at any rate."""

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder
from any2any_ros.samples import Sound

NS = 1_000_000_000


@pytest.fixture
def encoder(tiny):
    return encoders.build("wav2vec2", {"model": str(tiny("wav2vec2"))})


def noise(seconds=0.5, rate=16000, seed=0):
    return Sound(np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32), rate)


def test_is_an_encoder_of_speech(encoder):
    assert isinstance(encoder, Encoder) and (encoder.modality, encoder.accepts) == ("speech", "sound")
    assert encoder.dimension == 4 * 32 and encoder.space == ""


def test_equals_transformers_with_its_own_extractor(encoder, tiny):
    import torch
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

    extractor = Wav2Vec2FeatureExtractor.from_pretrained(tiny("wav2vec2"))
    given = extractor(noise().samples, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        out = Wav2Vec2Model.from_pretrained(tiny("wav2vec2")).eval()(given.input_values, output_hidden_states=True)
    expected = np.concatenate([h[0].mean(0).numpy() for h in out.hidden_states[-4:]])
    assert encoder.encode(noise()) @ expected / np.linalg.norm(expected) > 1 - 1e-5


def test_many_of_different_lengths_are_what_each_is_alone(encoder):
    some = [noise(0.5), noise(0.9, seed=1), noise(0.5, 8000, 2)]
    np.testing.assert_array_equal(encoder.encode_batch(some), [encoder.encode(s) for s in some])


def test_loudness_and_rate_do_not_matter_much(encoder):
    t = np.arange(48000) / 48000
    tone = (0.2 * np.sin(2 * np.pi * 440 * t) + 0.1 * np.sin(2 * np.pi * 1300 * t)).astype(np.float32)
    loud, quiet = (encoder.encode(Sound(g * tone[::3], 16000)) for g in (1.0, 0.1))
    assert loud @ quiet > 0.999 and loud @ encoder.encode(Sound(tone, 48000)) > 0.99


def test_an_utterance_is_gathered_from_a_stream(encoder):
    said, chunk = [], 1600
    stream = np.concatenate([noise(1).samples / 1000, noise(1).samples, noise(1.5).samples / 1000])
    for i in range(0, len(stream), chunk):
        found = encoder.gather(Sound(stream[i : i + chunk], 16000), int((i + chunk) / 16000 * NS))
        said += [found] if found is not None else []
    assert len(said) == 1 and 0.9 < len(said[0].samples) / 16000 < 1.5


@pytest.mark.parametrize(
    "samples", [np.zeros(16000, np.float32), np.ones(100, np.float32), np.full(16000, np.nan, np.float32)]
)
def test_what_is_no_utterance_is_refused(encoder, samples):
    with pytest.raises(Any2AnyError, match="Cannot use an utterance"):
        encoder.encode(Sound(samples, 16000))
