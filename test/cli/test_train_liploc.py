"""`any2any train liploc`: from KITTI folders to a checkpoint that the encoders read, and what it refuses."""

import json
import shutil

import cv2
import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.data import kitti
from any2any_ros.encoders import liploc as encoder
from any2any_ros.encoders.networks import liploc_network as network
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import liploc
from any2any_ros.workflows import train_liploc

torch = pytest.importorskip("torch", reason="PyTorch is absent: make torch")

SMALL = (
    "--grid", 2, "--patch-height", 16, "--patch-width", 32, "--width", 64, "--depth", 1, "--hidden", 32, "--dims", 16,
    "--batch", 16, "--steps", 12, "--interval", 4, "--warm-up", 2, "--square", 20, "--columns", 300,
)  # fmt: skip
LAPS = ("--sequence", "00", "--sequence", "01", "--one-map")


@pytest.fixture(scope="module")
def done(laps, tmp_path_factory):
    """The weights' folder of a short training on both laps of the ring."""
    from any2any_ros.cli.main import main

    folder = tmp_path_factory.mktemp("weights")
    assert main([str(a) for a in ("train", "liploc", laps, folder, *LAPS, *SMALL)]) == 0
    return folder


def test_the_existing_encoders_load_what_was_written(done, laps):
    camera, lidar = (encoders.build(p, {"model": str(done / "best.pth")}) for p in ("liploc_camera", "liploc"))
    assert camera.space == lidar.space != "" and camera.dimension == 16
    drive = kitti.read(laps, "00")
    for one, modality in ((camera, "camera"), (lidar, "lidar")):
        first, second = (one.encode(drive.sample(modality, i)) for i in (0, 9))
        assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5) and np.abs(first - second).max() > 1e-4


def test_their_vectors_are_those_of_the_training(done, laps, any2any, tmp_path, monkeypatch):
    """The same frames, by the road that training takes and by the encoders' own."""
    kept = []
    whole = liploc.training

    def watched(towers, pairs, *rest):
        for checkpoint in whole(towers, pairs, *rest):
            kept[:] = [towers, pairs, checkpoint.best]
            yield checkpoint

    monkeypatch.setattr(liploc, "training", watched)
    assert any2any("train", "liploc", laps, tmp_path, *LAPS, *SMALL).code == 0
    towers, pairs, best = kept
    for half, tower in towers.items():
        tower.load_state_dict(best[half], strict=False)
    encode = liploc.encoder(towers)
    drives = {0: kitti.read(laps, "00"), 1: kitti.read(laps, "01")}
    for half, plug, pictures in (("camera", "liploc_camera", pairs.pictures), ("lidar", "liploc", pairs.ranges)):
        own = encoders.build(plug, {"model": str(tmp_path / "best.pth")})
        for i in (0, len(pairs) - 1):
            drive = drives[int(pairs.drives[i])]
            frame = int(np.linalg.norm(drive.poses[:, :3, 3] - pairs.poses[i, :3, 3], axis=1).argmin())
            found = own.encode(drive.sample(half, frame))
            np.testing.assert_allclose(found, encode(half, pictures[i : i + 1])[0], atol=5e-3)  # half precision


def test_what_was_done_is_told_and_drawn(done):
    story = json.loads((done / "training.json").read_text())
    assert story["config"] | {"grid": 2, "steps": 12, "seed": 0, "temperature": 0.07} == story["config"]
    assert story["sequences"] == ["00", "01"] and story["one_map"]
    # 24 places twice; in lap 01 one frame lacks its picture, another its scan
    assert 20 <= story["pairs"]["train"] <= 40 and story["pairs"]["held out"] >= 4
    assert [look["step"] for look in story["curve"]] == [4, 8, 12]
    assert story["validation"] == max(look["validation"] for look in story["curve"])
    assert 0 < story["chance"] < 1
    picture = cv2.imread(str(done / "curves.png"))
    assert picture.shape[0] > 300 and picture.std() > 5
    assert sorted(p.name for p in done.iterdir()) == ["best.pth", "curves.png", "training.json"]


def test_the_checkpoint_has_lip_loc_s_names_in_half_precision(done):
    state = torch.load(done / "best.pth", weights_only=True)
    for half in ("camera", "lidar"):
        for name in ("model.pos_embed", "model.blocks.0.attn.qkv.weight", "fc.weight"):
            assert state[f"encoder_{half}.{name}"].dtype == torch.float16
        assert f"projection_{half}.projection.weight" in state
    assert state["window"].tolist() == [32, 300]
    assert network.read_view(state, "lidar", "") == network.View(32, 64, 32, 300)


def test_the_same_seed_gives_the_same_weights(done, laps, any2any, tmp_path):
    assert any2any("train", "liploc", laps, tmp_path, *LAPS, *SMALL).code == 0
    one, two = (torch.load(folder / "best.pth", weights_only=True) for folder in (done, tmp_path))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert (done / "training.json").read_bytes() == (tmp_path / "training.json").read_bytes()


def test_a_training_begins_with_another_s_weights_and_sizes(done, laps, any2any, tmp_path):
    given = ("--start", done / "best.pth", *LAPS, "--square", 20, "--batch", 16, "--steps", 1, "--learning-rate", 1e-8)
    assert any2any("train", "liploc", laps, tmp_path, *given).code == 0
    one, two = (torch.load(folder / "best.pth", weights_only=True) for folder in (done, tmp_path))
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=1e-6) for name in one)


def test_no_place_is_both_learnt_from_and_held_out(laps, any2any, tmp_path, monkeypatch):
    parts, whole, judge = {}, liploc.training, train_liploc.validation

    def watched(towers, pairs, *rest):
        parts["train"] = pairs
        return whole(towers, pairs, *rest)

    def judging(held_out, *rest):
        parts["held out"] = held_out
        return judge(held_out, *rest)

    monkeypatch.setattr(liploc, "training", watched)
    monkeypatch.setattr(train_liploc, "validation", judging)
    assert any2any("train", "liploc", laps, tmp_path, *LAPS, *SMALL).code == 0
    a, b = (parts[k].poses[:, :2, 3] for k in ("train", "held out"))
    assert np.linalg.norm(a[:, None] - b[None], axis=2).min() >= 10
    assert set(parts["train"].maps) == {0} and set(parts["train"].drives) == {0, 1}


def test_sequences_share_no_map_unless_told(laps, any2any, tmp_path, monkeypatch):
    maps = []

    def seen(towers, pairs, *rest):
        maps.extend(pairs.maps)
        return iter([liploc.Checkpoint(1, 1.0, 1.0, {h: t.state_dict() for h, t in towers.items()}, 1.0)])

    monkeypatch.setattr(liploc, "training", seen)
    assert any2any("train", "liploc", laps, laps, tmp_path, "--sequence", "00", "--sequence", "01", *SMALL).code == 0
    assert set(maps) == {0, 1, 2, 3}


def test_validation_is_the_rank_of_the_first_right_frame_of_another_drive():
    poses = np.tile(np.eye(4), (6, 1, 1))
    poses[:, 0, 3] = [0, 30, 60, 0, 30, 90]
    image = np.arange(6, dtype=np.uint8).reshape(-1, 1, 1, 1)
    pairs = liploc.Pairs(image, image, poses, np.zeros(6, int), np.array([0, 0, 0, 1, 1, 1]), np.zeros(6))
    judge, chance = train_liploc.validation(pairs, 5.0)
    # frames 0, 1, 3, 4 were passed by both drives, and are asked of the other's three; 2 and 5 of all six
    assert judge(lambda half, pictures: np.eye(6)[[0, 1, 2, 0, 1, 5]]) == 1
    blind = judge(lambda half, pictures: np.eye(6))  # ties: the right one counts as first
    assert blind == 1 and 0.2 < chance < 0.8
    wrong = judge(lambda half, pictures: np.array([[1, 0], [0, 1], [1, 1], [0, 1], [1, 0], [1, 1]]))
    assert wrong < 1


def test_control_c_keeps_the_best_so_far(laps, any2any, tmp_path, monkeypatch):
    whole = liploc.training

    def interrupted(*given):
        for checkpoint in whole(*given):
            yield checkpoint
            raise KeyboardInterrupt

    monkeypatch.setattr(liploc, "training", interrupted)
    done = any2any("train", "liploc", laps, tmp_path, *LAPS, *SMALL)
    assert done.code == 0 and "stopped after 4 steps" in done.err
    assert encoders.build("liploc", {"model": str(tmp_path / "best.pth")}).dimension == 16


def test_bad_inputs_are_refused_in_one_line(refused, laps, tmp_path):
    out = tmp_path / "out"
    assert "is no KITTI drive" in refused("train", "liploc", tmp_path, out)
    assert "a multiple of 64" in refused("train", "liploc", laps, out, *LAPS, *SMALL, "--width", 100)
    assert "there are 0 pairs" in refused("train", "liploc", laps, out, *LAPS, *SMALL, "--hit-radius", 90)
    (tmp_path / "file").write_text("")
    assert "Cannot write to" in refused("train", "liploc", laps, tmp_path / "file" / "out", *LAPS)
    lone = tmp_path / "lone"
    for name, kind in (("velodyne", "bin"), ("image_2", "png")):
        (lone / name).mkdir(parents=True)
        shutil.copy(laps / "sequences" / "00" / name / f"000000.{kind}", lone / name)
    assert "0 frames have a picture, a scan and a pose" in refused("train", "liploc", lone, out)
    shutil.rmtree(lone / "velodyne")
    assert "0 frames have" in refused("train", "liploc", lone, out)


def test_what_lies_in_one_square_cannot_be_stopped_by_another():
    image = np.zeros((3, 1, 1, 1), np.uint8)
    zeros = np.zeros(3, int)
    pairs = liploc.Pairs(image, image, np.tile(np.eye(4), (3, 1, 1)), zeros, zeros, np.zeros(3))
    with pytest.raises(Any2AnyError, match="within one square of 60 m"):
        train_liploc._held_out(pairs, train_liploc.HeldOutConfig(), 0)


def test_without_pytorch_it_says_what_to_install(refused, laps, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    said = refused("train", "liploc", laps, tmp_path / "out", *LAPS)
    assert "pip install 'any2any_ros[pretrained]'" in said and not (tmp_path / "out").exists()


def test_a_half_of_another_shape_is_read_off_its_checkpoint(done):
    size = network.NetworkSize(grid=3, patch_height=8, patch_width=16, columns=200, rows=20)
    state = network.join_towers(network.initial_towers(size, 0), size.view)
    view = network.read_view(state, "camera", "")
    assert view == size.view == network.View(24, 48, 20, 200)
    image = np.arange(64 * 900).reshape(64, 900)
    assert (encoder.window(image, view) == image[:20, 350:550]).all()
    assert encoder.resized(np.zeros((5, 9, 3), np.uint8), view).shape == (3, 24, 48)


def test_an_export_keeps_what_the_network_sees(done, laps, any2any, tmp_path):
    pytest.importorskip("onnxscript", reason="no onnxscript: make torch")
    exported = any2any("export", "liploc", tmp_path / "onnx", "--set", f"model={done / 'best.pth'}")
    assert exported.code == 0, exported.err
    whole, graph = (encoders.build("liploc", {"model": str(m)}) for m in (done / "best.pth", tmp_path / "onnx"))
    assert graph.view == whole.view == network.View(32, 64, 32, 300) and graph.space == whole.space
    scan = kitti.read(laps, "00").sample("lidar", 3)
    np.testing.assert_allclose(graph.encode(scan), whole.encode(scan), atol=1e-4)
