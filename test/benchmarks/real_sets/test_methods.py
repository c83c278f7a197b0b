"""Methods by name, and peers: each is measured on the sets that it suits."""

import numpy as np
import pytest
import tiny_real_sets
from real_sets import methods, nordland, peer_pictures, pictures, sevenscenes
from real_sets.real_set import Options

from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import silent


def test_an_encoder_is_named_with_its_settings():
    method = methods.of_encoder("lidar:descriptor=bev,sectors=40,max_range=30.5+camera")
    built = method.encoders(None, silent)
    assert method.modalities == ("camera", "lidar") and method.ours
    config = built["lidar"].config
    assert (config.descriptor, config.sectors, config.max_range) == ("bev", 40, 30.5)


@pytest.mark.parametrize("text", ["radar", "lidar:colour=1", "lidar:rings", "lidar:rings=1"])
def test_what_cannot_be_built_is_refused(text):
    with pytest.raises(Any2AnyError):
        methods.of_encoder(text)


def test_the_default_encoders_exist_and_are_in_order():
    names = methods.by_default()
    assert {"lidar", "laser_scan", "camera", "camera+lidar", "audio"} <= set(names)
    assert names.index("lidar") < names.index("camera")
    for name in names:
        methods.of_encoder(name)


def test_a_method_suits_a_set_with_all_its_modalities(tmp_path):
    room = sevenscenes.read(tiny_real_sets.sevenscenes(tmp_path), Options())
    pairs = pictures.read(tiny_real_sets.picture_pairs(tmp_path))
    both, camera = methods.of_encoder("camera+lidar"), methods.of_encoder("camera")
    assert both.suits(room) and camera.suits(room) and camera.suits(pairs) and not both.suits(pairs)
    answers = both.answer(room, silent)
    assert (answers.best[:, 0] >= 0).all()


@pytest.mark.parametrize("peer", peer_pictures.PEERS, ids=lambda peer: peer.name)
def test_peer_pictures_find_the_same_scene_with_other_noise(tmp_path, monkeypatch, peer):
    monkeypatch.setattr(peer_pictures, "WORDS", 40)
    real = nordland.read(tiny_real_sets.nordland(tmp_path))
    answers = peer.answer(real, silent)
    found = np.take_along_axis(real.right, answers.best[:, :1], axis=1)
    assert found.mean() > 0.7 and not peer.ours


def test_words_are_counted_at_the_nearest_centre():
    draw = np.random.default_rng(0)
    bits, words = draw.integers(0, 2, (50, 256)).astype(np.float32), draw.random((7, 256)).astype(np.float32)
    nearest = [int(((word_bits - words) ** 2).sum(axis=1).argmin()) for word_bits in bits]
    np.testing.assert_array_equal(peer_pictures.counted(bits, words), np.bincount(nearest, minlength=7))
    assert not peer_pictures.counted(bits[:0], words).any()


def test_a_vocabulary_needs_corners(tmp_path):
    real = nordland.read(tiny_real_sets.nordland(tmp_path))
    flat = dict.fromkeys(real.recording.drive.readers, lambda i: np.full((48, 64, 3), 90, np.uint8))
    real.recording.drive.readers.update(flat)
    with pytest.raises(Any2AnyError, match="0 ORB features"):
        peer_pictures.fit_orb_words(real, silent)


def test_a_thumbnail_does_not_mind_brightness_and_contrast():
    picture = tiny_real_sets.scene(3).astype(np.float64)
    peer = peer_pictures.Thumbnail()
    vectors = [peer.encode((picture * a + b).astype(np.uint8)) for a, b in ((1.0, 0), (0.6, 60))]
    assert vectors[0] @ vectors[1] > 0.99 and vectors[0].shape == (peer.dimension,)
