"""Pictures by pretrained networks: what transformers makes of them, and plain words when it cannot be."""

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.encoders.vision import coloured
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder

FAMILIES = ("clip", "siglip", "dinov2", "dinov3_vit", "vit", "resnet")


def picture(height=70, width=110, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def build(folder, plug="vision", **settings):
    return encoders.build(plug, {"model": str(folder), **settings})


@pytest.mark.parametrize("family", FAMILIES)
def test_is_an_encoder_that_gives_a_unit_vector(tiny, family):
    encoder = build(tiny(family))
    assert isinstance(encoder, Encoder) and encoder.modality == "camera"
    vector = encoder.encode(picture())
    assert vector.shape == (encoder.dimension,) and vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(encoder.encode(picture()), vector)


@pytest.mark.parametrize("family", FAMILIES)
def test_many_at_once_are_what_each_is_alone(tiny, family):
    encoder = build(tiny(family))
    some = [picture(seed=0), picture(40, 40, 1), picture(33, 200, 2)]
    np.testing.assert_allclose(encoder.encode_batch(some), [encoder.encode(p) for p in some], atol=1e-5)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_equals_the_whole_network_with_its_own_processor(tiny, family):
    """transformers' own road: both halves loaded, its processor, its method."""
    import torch
    import transformers

    name = {"clip": "CLIP", "siglip": "Siglip"}[family]
    processor = getattr(transformers, f"{name}ImageProcessorPil").from_pretrained(tiny(family))
    model = getattr(transformers, f"{name}Model").from_pretrained(tiny(family)).eval()
    with torch.no_grad():
        out = model.get_image_features(**processor(picture(), return_tensors="pt"))
    theirs = (out if torch.is_tensor(out) else out.pooler_output)[0].numpy()
    assert build(tiny(family)).encode(picture()) @ theirs / np.linalg.norm(theirs) > 1 - 1e-5


def test_the_same_weights_are_one_space_and_others_are_not(tiny):
    vision, language = build(tiny("clip")), build(tiny("clip"), "language")
    assert vision.space == language.space != "" and vision.dimension == language.dimension
    assert vision.fingerprint != language.fingerprint
    assert build(tiny("siglip")).space != vision.space
    assert build(tiny("dinov2")).space == build(tiny("vit")).space == ""


def test_depth_is_shown_in_colours(tiny):
    encoder = build(tiny("resnet"), "vision_depth")
    depth = np.linspace(0.5, 2.0, 60 * 80, dtype=np.float32).reshape(60, 80)
    depth[:5] = np.nan
    shown = coloured(depth)
    assert not shown[:5].any() and shown[6, 0, 2] > shown[6, 0, 0] and shown[-1, -1, 0] > shown[-1, -1, 2]
    assert encoder.modality == "depth" and np.isfinite(encoder.encode(depth)).all()
    with pytest.raises(Any2AnyError, match="it is empty"):
        encoder.encode(np.full((60, 80), np.nan, np.float32))
