"""A map in the hands of a Python user: samples in, rankings out; every mistake is one clear error."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import any2any_ros as a2a
from any2any_ros import encoders
from any2any_ros.data import carmen, kitti
from any2any_ros.retrieval import reference_map

NOVEMBER = Path(__file__).parent / "formats/november/map"


@pytest.fixture(scope="module")
def drive(laps):
    return kitti.read(laps, "01")


@pytest.fixture(scope="module")
def ring(laps, tmp_path_factory):
    """The folder of an uncalibrated map of lap 00 of the ring."""
    folder = tmp_path_factory.mktemp("place_map") / "ring"
    a2a.build_map(a2a.open_recording(laps, "00"), folder)
    return folder


@pytest.fixture
def place_map(ring, tmp_path):
    return a2a.open_map(shutil.copytree(ring, tmp_path / "ring"))


@pytest.fixture
def november(tmp_path):
    return a2a.open_map(shutil.copytree(NOVEMBER, tmp_path / "november"))


def moment(drive, i, *modalities):
    """Return the samples of frame i; of sound the last second, as the map's encoder heard it."""
    samples = {m: drive.sample(m, i) for m in modalities or ("camera", "lidar", "text", "audio")}
    return samples | ({"audio": heard(drive, i)} if "audio" in samples else {})


def heard(drive, i):
    before, now = drive.sample("audio", i - 1), drive.sample("audio", i)
    return a2a.Sound(np.concatenate([before.samples, now.samples]), now.rate)


# --- opening --------------------------------------------------------------------------------------------------


def test_it_says_what_it_is(place_map, november):
    assert (len(place_map), place_map.name, place_map.calibrated) == (24, "ring", False)
    assert place_map.modalities == ("audio", "camera", "lidar", "text")
    assert repr(place_map) == "<PlaceMap 'ring': 24 places, audio, camera, lidar, text, not calibrated>"
    assert november.calibrated and "calibrated" in repr(november) and "not" not in repr(november)


def test_encoders_are_built_when_a_sample_of_their_modality_comes(place_map, drive):
    assert place_map._encoders == {}
    place_map.rank(moment(drive, 4, "text"))
    assert set(place_map._encoders) == {"text"}
    first = place_map._encoders["text"]
    place_map.rank(moment(drive, 4, "text", "lidar"))
    assert set(place_map._encoders) == {"text", "lidar"} and place_map._encoders["text"] is first


def test_no_map_is_refused(tmp_path):
    with pytest.raises(a2a.Any2AnyError, match=r"it has no map\.json"):
        a2a.open_map(tmp_path)


# --- ranking --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", ["camera", "lidar", "text", "audio"])
def test_each_sensor_finds_its_place(place_map, drive, modality):
    rankings = [place_map.rank(moment(drive, i, modality), 3) for i in (9, 14, 20)]
    assert [r.matches[0].id for r in rankings] == ["00/000009", "00/000014", "00/000020"]
    assert all(r.modalities == (modality,) and len(r.matches) == 3 for r in rankings)


def test_a_laser_scan_finds_its_place(tmp_path):
    draw, log = np.random.default_rng(0), tmp_path / "house.log"
    rooms = [np.repeat(draw.uniform(1, 9, 12), 15) for _ in range(8)]
    lines = (f"FLASER 180 {' '.join(f'{r:.2f}' for r in room)} {3 * i} 0 0 0 0 0 {i} host {i}\n"
             for i, room in enumerate(rooms))  # fmt: skip
    log.write_text("".join(lines))
    house = a2a.build_map(log, tmp_path / "house", {"laser_scan": "laser_scan"})
    nearly = carmen.read(log).sample("laser_scan", 5)
    noisy = replace(nearly, ranges=nearly.ranges + draw.normal(0, 0.01, 180).astype(np.float32))
    assert house.modalities == ("laser_scan",)
    assert house.rank({"laser_scan": noisy}, 1).matches[0].id == house.reference.places.ids[5]


def test_without_calibration_there_is_no_probability(place_map, drive):
    ranking = place_map.rank(moment(drive, 9))
    assert ranking.matches[0].id == "00/000009" and len(ranking.matches) == 5 and ranking.missing == ()
    assert np.isnan(ranking.probability) and not ranking.accepted


def test_samples_are_encoded_as_the_map_was(place_map, drive):
    samples = moment(drive, 6, "camera", "text")
    observation = place_map.observe(samples)
    for modality, sample in samples.items():
        np.testing.assert_array_equal(observation.embeddings[modality], encoders.build(modality).encode(sample))
    by_hand, direct = place_map.rank(observation), place_map.rank(samples)
    assert [(m.id, m.score) for m in by_hand.matches] == [(m.id, m.score) for m in direct.matches]


def test_arrays_of_other_forms_are_taken_as_they_are_meant(place_map, drive):
    points = drive.sample("lidar", 8)
    holes = np.concatenate([points[:, :3].astype(np.float64), np.full((5, 3), np.nan)])
    for cloud in (points, points.astype(np.float64), holes, np.column_stack([points, points])):
        assert place_map.rank({"lidar": cloud}, 1).matches[0].id == "00/000008"
    picture = drive.sample("camera", 8)
    assert place_map.rank({"camera": picture[:, ::-1][:, ::-1]}, 1).matches[0].id == "00/000008"


def test_one_whole_sound_has_nothing_to_do_with_the_one_before(place_map, drive):
    first, second = heard(drive, 5), heard(drive, 12)
    alone = place_map.observe({"audio": second}).embeddings["audio"]
    for sound in (first, second, second):
        again = place_map.observe({"audio": sound}).embeddings["audio"]
    np.testing.assert_array_equal(again, alone)
    long = a2a.Sound(np.concatenate([second.samples] * 9 + [first.samples]), first.rate)  # its end is what counts
    assert place_map.rank({"audio": long}, 1).matches[0].id == "00/000005"


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        ({}, "no sample was given. Give a sample of at least one of audio, camera, lidar, text"),
        ({"radar": np.zeros(3)}, "does not know 'radar': its modalities are audio, camera, lidar, text"),
        ({"camera": None}, "The 'camera' sample cannot be used: it is of type NoneType. An image is an array"),
        ({"camera": np.zeros((4, 4), np.uint8)}, r"its shape is \(4, 4\), its dtype uint8"),
        ({"camera": np.zeros((40, 96, 3))}, r"its dtype float64. An image is an array \(H, W, 3\) of uint8, RGB"),
        ({"camera": np.zeros((0, 96, 3), np.uint8)}, "it is empty"),
        ({"lidar": np.zeros((5, 2))}, r"its shape is \(5, 2\). A point cloud is an array \(N, 3\)"),
        ({"lidar": "cloud.bin"}, "The 'lidar' sample cannot be used: it is of type str"),
        ({"lidar": np.full((500, 3), np.nan)}, "Cannot use a point cloud"),
        ({"audio": np.zeros(8000, np.float32)}, "it is an array of float32. A sound is an any2any_ros.Sound"),
        ({"audio": a2a.Sound(np.zeros((9, 2), np.float32), 8000)}, r"samples is \(9, 2\)"),
        ({"audio": a2a.Sound(np.zeros(9, np.int16), 8000)}, "the dtype of its samples is int16, not a float"),
        ({"audio": a2a.Sound(np.full(80, 0.1, np.float32), 8000)}, "0.01 s of sound are too short"),
        ({"audio": a2a.Sound(np.full(80, 0.1, np.float32), 0)}, "its rate is 0 Hz"),
        ({"text": b"a church"}, "The 'text' sample cannot be used: it is of type bytes"),
        ({"text": "..."}, "Cannot use a text"),
        (a2a.Observation({}), "no sample was given"),
        (a2a.Observation({"text": np.ones(7)}), "it has 7 dimensions, the map's have 1024"),
        (a2a.Observation({"radar": np.ones(7)}), "'radar' embedding cannot be used"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_ranked_is_one_clear_error(place_map, samples, why):
    with pytest.raises(a2a.Any2AnyError, match=why) as caught:
        place_map.rank(samples)
    assert caught.value.what and caught.value.why and caught.value.remedy


@pytest.mark.parametrize("k", [0, -1, 1.5])
def test_a_k_that_is_none_is_refused(place_map, k):
    with pytest.raises(a2a.Any2AnyError, match="Setting 'k'"):
        place_map.rank({"text": "houses"}, k)


def test_an_encoder_of_another_version_is_refused(place_map, monkeypatch):
    monkeypatch.setattr(encoders.ENCODERS.find("text"), "revision", 99)
    with pytest.raises(a2a.Any2AnyError, match=r"it is text-99-.* now, they were made by text-1-"):
        place_map.rank({"text": "houses"})


# --- adding ---------------------------------------------------------------------------------------------------


def pose_at(x):
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


SHOP = {"text": "a bright green shop full of umbrellas"}


def test_a_place_is_found_once_it_is_added_and_durable_once_it_is_saved(place_map):
    before = place_map.rank(SHOP, 1).matches[0]
    assert place_map.add(SHOP, pose_at(500)) == "added/000024" and len(place_map) == 25
    after = place_map.rank(SHOP, 1).matches[0]
    assert after.id == "added/000024" != before.id and after.pose[0, 3] == 500
    assert len(a2a.open_map(place_map.path)) == 24
    assert place_map.save() == place_map.path
    again = a2a.open_map(place_map.path)
    assert len(again) == 25 and again.rank(SHOP, 1).matches[0].id == "added/000024"


def test_a_place_may_have_an_id_of_its_own_and_be_added_as_embeddings(place_map, drive):
    assert place_map.add(place_map.observe(SHOP), pose_at(1), id="shop") == "shop"
    assert place_map.rank(SHOP, 1).matches[0].id == "shop"
    assert place_map.add(moment(drive, 3, "lidar"), pose_at(2)) == "added/000025"
    with pytest.raises(a2a.Any2AnyError, match="Cannot add place 'shop': map 'ring' has one"):
        place_map.add(SHOP, pose_at(3), id="shop")
    assert len(place_map) == 26


@pytest.mark.parametrize(
    ("pose", "why"),
    [
        (np.eye(3), r"its shape is \(3, 3\)"),
        ("here", r"its shape is \(0,\)"),
        (np.full((4, 4), np.nan), "is not finite"),
        (np.diag([1.0, 1, 1, 2]), "its last row is"),
        (np.diag([2.0, 1, 1, 1]), "is no rotation"),
        (np.diag([-1.0, 1, 1, 1]), "is no rotation"),
    ],
)
def test_a_pose_that_is_none_is_refused(place_map, pose, why):
    with pytest.raises(a2a.Any2AnyError, match=f"The pose cannot be used: .*{why}"):
        place_map.add(SHOP, pose)
    assert len(place_map) == 24


def test_samples_that_cannot_be_used_add_no_place(place_map):
    for samples in ({}, {"radar": 3}, {"text": 3}):
        with pytest.raises(a2a.Any2AnyError):
            place_map.add(samples, pose_at(1))
    assert len(place_map) == 24


# --- saving ---------------------------------------------------------------------------------------------------


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_saving_in_place_keeps_what_belongs_to_the_map(november):
    (november.path / "clouds").mkdir()
    (november.path / "clouds" / "scan.npz").write_bytes(b"points")
    before = contents(november.path)
    november.add(SHOP, pose_at(500))
    november.save()
    after = contents(november.path)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed and all(name == "map.json" or name.startswith("places-") for name in changed)
    again = a2a.open_map(november.path)
    assert again.calibrated and again.rank(SHOP, 1).matches[0].id == "added/000160"


def test_saving_elsewhere_copies_what_belongs_to_the_map(november, tmp_path):
    for name in ("adopted/thermal", "clouds"):
        (november.path / name).mkdir(parents=True)
        (november.path / name / "file").write_bytes(name.encode())
    (november.path / "shards").mkdir()  # made anew where they are needed
    assert november.save(str(tmp_path / "copy")) == tmp_path / "copy"
    before, after = contents(november.path), contents(tmp_path / "copy")
    header = json.loads(after.pop("map.json"))
    assert json.loads(before.pop("map.json")) | {"parts": header["parts"]} == header
    assert before.pop("clouds/file") == after.pop(header["parts"]["clouds"] + "/file")
    assert after == before


def test_saving_over_another_map_leaves_nothing_of_it(place_map, november):
    assert place_map.save(november.path) == november.path
    again = a2a.open_map(november.path)
    assert (len(again), again.name, again.calibrated) == (24, "ring", False)
    assert sorted(p.name for p in november.path.iterdir()) == sorted(p.name for p in place_map.path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(november, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(a2a.Any2AnyError, match="Cannot write the map"):
        november.save(tmp_path / "file" / "map")


def test_a_map_stands_for_its_folder(place_map):
    assert Path(place_map) == place_map.path
    assert reference_map.load(Path(place_map)).name == "ring"
