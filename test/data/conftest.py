"""What the tests of several files read: a GoLD folder, a bag of a drive, a KITTI folder that may be spoilt."""

from __future__ import annotations

import shutil
import wave

import cv2
import numpy as np
import pytest
from bag_files import MODALITIES

from any2any_ros import encoders
from any2any_ros.data import bags, kitti

FULL_TEXT = "hit_id\tworker_id\tworktime_s\titem_id\ttext\n"
FULL_SPEECH = "hit_id\tworker_id\tworktime_s\titem_id\twav\ttranscription\n"
ITEMS = ("allen_wrench_5_1", "allen_wrench_5_2", "mug_1_1", "mug_2_10", "mug_2_9")


def _png(folder, kind, item, pixels):
    label, number, _ = item.rsplit("_", 2)
    path = folder / "images" / kind / label / f"{label}_{number}" / f"{item}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def _wav(path, samples, rate=16000, channels=1, width=2):
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, dtype="<i2").tobytes())


@pytest.fixture
def gold_folder(tmp_path):
    """Five views: all have crops in colour; one a whole picture besides; depth, text, speech only here and there."""
    draw = np.random.default_rng(0)
    for item in ITEMS:
        _png(tmp_path, "RGB_cropped", item, draw.integers(0, 256, (20, 24, 3)).astype(np.uint8))
    _png(tmp_path, "RGB", "mug_1_1", np.zeros((40, 60, 3), np.uint8))
    depth = np.full((24, 20), 900, np.uint16)
    depth[8:16, 6:14] = 820
    _png(tmp_path, "depth_cropped", "mug_1_1", depth)
    (tmp_path / "text.tsv").write_text(
        FULL_TEXT
        + 'h1\tann\t12\tmug_1_1\t"A ""blue"" mug."\nh2\tbob\t9\tmug_1_1\ta cup\nh3\tann\t5\tallen_wrench_5_2\ttool\n'
    )
    (tmp_path / "speech.tsv").write_text(
        FULL_SPEECH + "h4\tann\t7\tmug_1_1\tmug_1_1_1\tthe blue mug\nh5\tbob\t7\tmug_1_1\tmug_1_1_2.wav\tthat cup\n"
    )
    _wav(tmp_path / "speech" / "mug_1_1_2.wav", [0, 16384, -32768, 0])
    return tmp_path


@pytest.fixture
def png():
    """Return the function that writes a picture where GoLD has it."""
    return _png


@pytest.fixture
def wav():
    """Return the function that writes a sound."""
    return _wav


@pytest.fixture(scope="module")
def built():
    """Return an encoder of every modality that a bag of these tests has."""
    return {m: encoders.build(m) for m in MODALITIES}


@pytest.fixture(scope="module")
def drive(laps):
    """Return twelve places of a KITTI folder."""
    return kitti.read(laps, "01").take(range(12))


@pytest.fixture(scope="module", params=bags.STORAGES)
def bag(request, drive, tmp_path_factory):
    """Return a bag of the drive, of every kind of storage."""
    return bags.write(drive, tmp_path_factory.mktemp(request.param) / "ring", request.param)


@pytest.fixture
def ring(laps, tmp_path):
    """A copy of the laps, to be spoilt."""
    return shutil.copytree(laps, tmp_path / "ring")
