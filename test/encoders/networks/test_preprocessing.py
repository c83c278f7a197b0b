"""Images are prepared exactly as transformers prepares them."""

import json
import shutil

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.encoders.networks.preprocessing import Preprocessing
from any2any_ros.errors import Any2AnyError


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


@pytest.mark.parametrize(
    "change",
    [
        {"size": "224"}, {"size": {"shortest_edge": 0}}, {"size": {"shortest_edge": 10**9}},
        {"crop_size": {"height": 224}},
        {"size": {"shortest_edge": 1.5}}, {"crop_size": {"height": -1, "width": 224}}, {"image_mean": [0.5]},
        {"image_mean": 0.5}, {"image_std": [0.2, 0.2, 0.0]}, {"image_std": [0.2, 0.2, float("nan")]}, {"resample": 6},
        {"resample": "bicubic"}, {"image_mean": ["a", "b", "c"]}, {"size": None},
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_prepare_no_picture_are_refused(change):
    usual = {
        "size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224},
        "image_mean": [0.5] * 3, "image_std": [0.2] * 3, "resample": 3,
    }  # fmt: skip
    assert Preprocessing.read(usual).shortest == 224
    with pytest.raises(Any2AnyError, match=r"Cannot tell how the network wants its images .*Fetch the model again"):
        Preprocessing.read(usual | change)


def test_a_network_that_its_settings_do_not_fit_is_refused_when_it_is_built(tiny, tmp_path):
    folder = shutil.copytree(tiny("vit"), tmp_path / "vit")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["size"] = {"height": 8, "width": 8}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(Any2AnyError, match=r"Encoder 'vision' cannot run the network in .*vit: .*any2any export"):
        build(folder)
