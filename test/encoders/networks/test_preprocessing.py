"""Images are prepared exactly as transformers prepares them."""

import json

import numpy as np
import pytest

from any2any_ros import encoders


def picture(height=70, width=110, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def build(folder, **settings):
    return encoders.build("vision", {"model": str(folder), **settings})


@pytest.mark.parametrize("family", ["clip", "siglip", "dinov2", "vit", "resnet"])
@pytest.mark.parametrize("size", [(70, 110), (110, 70), (32, 32), (20, 25), (31, 400)])
def test_pictures_are_prepared_as_the_network_was_trained(tiny, family, size):
    import transformers

    kind = json.loads((tiny(family) / "preprocessor_config.json").read_text())["image_processor_type"]
    processor = getattr(transformers, kind.removesuffix("Fast").removesuffix("Pil") + "Pil").from_pretrained(
        tiny(family)
    )
    theirs = processor(picture(*size), return_tensors="np")["pixel_values"][0]
    encoder = build(tiny(family))
    mean, spread = (np.array(x)[:, None, None] for x in (encoder.preprocessing.mean, encoder.preprocessing.std))
    ours = (encoder.inputs([picture(*size)])["pixels"][0] / 255 - mean) / spread
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
