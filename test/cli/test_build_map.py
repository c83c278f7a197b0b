"""`any2any build-map`: a drive becomes a map that knows how it was made."""

import json

import numpy as np
from bag_files import STORE, written
from pose_messages import TF, transforms
from scipy.spatial import cKDTree

from any2any_ros import encoders
from any2any_ros.data import bag_messages, bags, kitti
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.registration import thinned
from any2any_ros.observation import Observation
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.map_folder import SCANS
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.sensor_topic import SensorTopic


def test_a_drive_becomes_a_map(any2any, laps, tmp_path):
    done = any2any("build-map", laps, tmp_path / "ring", "--sequence", "01")
    said, table = done.out.split("\n\n")
    assert done.code == 0 and said == f"{tmp_path / 'ring'}: 24 places; audio (23), camera (23), lidar (23), text (23)"
    assert table.splitlines()[3].split() == ["camera", "image", "24", "23", "23", "0", "0"]
    reference = reference_map.load(tmp_path / "ring")
    assert reference.name == "ring" and reference.frame_id == "map" and reference.places.ids[0] == "01/000000"
    np.testing.assert_allclose(reference.places.poses, kitti.read(laps, "01").poses)
    for m, record in reference.encoders.items():
        encoder = encoders.build(encoders.default(m))
        described = (encoder.plug, encoder.fingerprint, encoder.dimension)
        assert (record.plug, record.fingerprint, record.dimension) == described


def test_a_bag_becomes_the_same_map(any2any, laps, tmp_path):
    bag = bags.write(kitti.read(laps, "00"), tmp_path / "bag")
    any2any("build-map", laps, tmp_path / "one", "--sequence", "00", "--modality", "lidar")
    done = any2any("build-map", bag, tmp_path / "two", "--topic", "lidar=/lidar/points")
    assert done.code == 0, done.err
    one, two = (reference_map.load(tmp_path / name) for name in ("one", "two"))
    np.testing.assert_array_equal(one.places.embeddings["lidar"], two.places.embeddings["lidar"])
    np.testing.assert_allclose(one.places.poses, two.places.poses, atol=1e-9)
    assert one.encoders == two.encoders and not one.topics
    assert two.topics == {"lidar": SensorTopic("/lidar/points", "sensor_msgs/msg/PointCloud2", "lidar")}


def test_what_became_of_each_topic_is_told_and_kept(any2any, refused, laps, tmp_path):
    bag, file = bags.write(kitti.read(laps, "00"), tmp_path / "bag"), tmp_path / "report.json"
    picky = ("--modality", "lidar", "--modality", "text", "--set", "lidar.min_points=1000000")
    done = any2any("build-map", bag, tmp_path / "map", *picky, "--json", file)
    rows = {row["modality"]: row for row in json.loads(file.read_text())["reading"]["topics"]}
    assert rows["text"]["messages_encoded"] == 24 and rows["text"]["type"] == "std_msgs/msg/String"
    assert (rows["lidar"]["promised"], rows["lidar"]["messages_refused"]) == (24, 24)
    assert "lidar (/lidar/points): 24 refused, the first because: Cannot use a point cloud" in done.out
    lost = refused("build-map", bag, tmp_path / "none", *picky[:2], *picky[4:])
    assert "the first that was refused, of lidar: Cannot use a point cloud" in lost


def test_settings_and_name_are_kept_in_the_map(any2any, laps, tmp_path):
    flags = (
        "--encoder",
        "lidar=lidar",
        "--modality",
        "lidar",
        "--set",
        "lidar.rings=10",
        "--name",
        "quarter",
        "--keyframe",
        11,
    )
    any2any("build-map", laps, tmp_path / "map", "--sequence", "00", *flags)
    reference = reference_map.load(tmp_path / "map")
    assert reference.name == "quarter" and len(reference) == 12 and list(reference.encoders) == ["lidar"]
    assert reference.encoders["lidar"].settings["rings"] == 10 and reference.encoders["lidar"].dimension == 160
    again = reference_map.map_encoders(reference, ["lidar"])["lidar"]
    assert again.fingerprint == reference.encoders["lidar"].fingerprint


def test_a_map_is_named_after_its_folder_wherever_one_stands(any2any, laps, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    any2any("build-map", laps, ".", "--sequence", "00", "--modality", "text")
    assert reference_map.load(tmp_path).name == tmp_path.name


def scans_of(folder):
    return Clouds(reference_map.load(folder).part(SCANS, folder))


def test_scans_are_kept_where_they_are_asked_for(any2any, laps, tmp_path):
    folder = tmp_path / "map"
    done = any2any("build-map", laps, folder, "--sequence", "01", "--modality", "lidar", "--clouds")
    assert done.code == 0 and "lidar (23); 23 scans\n" in done.out
    reference, kept, drive = reference_map.load(folder), scans_of(folder), kitti.read(laps, "01")
    assert all(name in kept for name in reference.places.ids) and len(list(kept.folder.iterdir())) == 23
    scan = kept.scan("01/000007")
    expected = thinned(drive.sample("lidar", 7), kept.config.voxel, kept.config.reach)
    assert np.median(cKDTree(expected).query(scan.points)[0]) < 0.01
    # Another map in its place has ids of the same names, and no scans.
    any2any("build-map", laps, folder, "--sequence", "01", "--modality", "lidar")
    assert not scans_of(folder) and {p.name for p in folder.iterdir() if p.is_dir()} == set()


def test_scans_are_kept_in_the_robots_frame(any2any, laps, tmp_path):
    flags = ("--sequence", "00", "--modality", "lidar", "--clouds", "--mounting")
    for name, mounting in (("ahead", "1 0 0.5 0 0 0"), ("plain", "0 0 0 0 0 0")):
        assert any2any("build-map", laps, tmp_path / name, *flags, mounting).code == 0
        assert reference_map.load(tmp_path / name).mounting == mounting
    moved, plain = (scans_of(tmp_path / name).scan("00/000003").points.mean(axis=0) for name in ("ahead", "plain"))
    np.testing.assert_allclose(moved - plain, [1, 0, 0.5], atol=0.3)  # another few are beyond the reach


def test_a_bag_keeps_the_same_scans(any2any, laps, tmp_path):
    bag = bags.write(kitti.read(laps, "00"), tmp_path / "bag")
    for name, source in (("one", (laps, "--sequence", "00")), ("two", (bag,))):
        drive, *sequence = source
        assert any2any("build-map", drive, tmp_path / name, *sequence, "--modality", "lidar", "--clouds").code == 0
    one, two = scans_of(tmp_path / "one"), scans_of(tmp_path / "two")
    np.testing.assert_array_equal(one.scan("00/000009").points, two.scan("bag/000009").points)


def test_a_bag_says_where_its_lidar_is_mounted(any2any, laps, tmp_path):
    """The frames are those of the recording: poses of base_link in /tf, clouds of the frame lidar."""
    drive = kitti.read(laps, "00").take(range(4))
    clouds = [
        (
            int(t),
            bag_messages.cloud_message(STORE, drive.sample("lidar", i), bag_messages.header(STORE, int(t), "lidar")),
        )
        for i, t in enumerate(drive.stamps_ns)
    ]
    moving = [(int(t), transforms(int(t), ("map", "base_link", (i, 0, 0), 0))) for i, t in enumerate(drive.stamps_ns)]
    static = [(int(drive.stamps_ns[0]), transforms(0, ("base_link", "lidar", (1, 0, 0.5), 0)))]
    bag = written(
        tmp_path / "bag", ("/lidar/points", "sensor_msgs/msg/PointCloud2", clouds), ("/tf", TF, moving),
        ("/tf_static", TF, static),
    )  # fmt: skip
    done = any2any("build-map", bag, tmp_path / "map", "--pose-topic", "/tf:map.base_link", "--clouds")
    assert done.code == 0 and "'lidar' is mounted at 1 0 0.5 0 0 0 on base_link, by /tf" in done.out
    reference = reference_map.load(tmp_path / "map")
    assert reference.mounting == "1 0 0.5 0 0 0" and reference.base_frame == "base_link"


def test_bad_inputs_are_refused_in_one_line(refused, laps, tmp_path):
    assert "There is no sensor 'thermal'" in refused(
        "build-map", laps, tmp_path / "m", "--sequence", "00", "--modality", "thermal"
    )
    assert "has no '='" in refused("build-map", laps, tmp_path / "m", "--topic", "camera")
    assert "Choose a sequence" in refused("build-map", laps, tmp_path / "m", "--sequence", "09")
    flags = ("--sequence", "00", "--modality", "text", "--clouds")
    assert "is no mounting" in refused("build-map", laps, tmp_path / "m", *flags, "--mounting", "1 2")
    log = tmp_path / "house.log"
    log.write_text("".join(f"FLASER 4 1 2 3 4 {i} 0 0 0 0 0 {i} host {i}\n" for i in range(9)))
    assert "Cannot store the scans" in refused("build-map", log, tmp_path / "m", "--clouds")
    log.unlink()
    (tmp_path / "file").touch()
    assert "Cannot write the map" in refused(
        "build-map", laps, tmp_path / "file", "--sequence", "00", "--modality", "text"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_words_ask_a_map_of_pictures_where_both_have_one_space(any2any, laps, tiny, tmp_path):
    """CLIP's halves: the drive has captions, the map keeps none of them."""
    model = f"model={tiny('clip')}"
    halves = ("--encoder", "camera=vision", "--encoder", "text=language", "--set", f"camera.{model}", "--set",
              f"text.{model}")  # fmt: skip
    folder = tmp_path / "map"
    done = any2any("build-map", laps, folder, "--sequence", "00", "--modality", "camera", *halves, "--ask", "text")
    assert done.code == 0, done.err
    retriever = Retriever.open(folder, 5.0)
    reference = retriever.reference
    assert reference.places.modalities == ("camera",) and set(reference.encoders) == {"camera", "text"}
    assert retriever.modalities == ("camera", "text") and retriever.reference_modalities == ("camera",)
    asked = reference_map.map_encoders(reference, ["text"])["text"].encode("a blue mug")
    best = retriever.rank(Observation({"text": asked}), 24).matches
    expected = reference.places.embeddings["camera"] @ asked
    np.testing.assert_allclose([m.score for m in best], np.sort(expected)[::-1], atol=1e-5)
    assert any2any("calibrate", folder, laps, "--sequence", "01").code == 0
    assert Retriever.open(folder, 5.0).rank(Observation({"text": asked})).matches


def test_who_shares_no_space_cannot_ask(refused, laps, tmp_path):
    said = refused("build-map", laps, tmp_path / "map", "--sequence", "00", "--modality", "camera", "--ask", "text")
    assert "'text' cannot be a query" in said and "shares no embedding space with camera" in said
    assert not (tmp_path / "map").exists()
