"""An adopted sensor is saved whole, and answers where no other sensor is alive."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adopted_worlds import COUNT, NEW, UNSEEN, seen

from any2any_ros import storage
from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import adopted as adopted_sensors
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval import retriever as retriever_module
from any2any_ros.retrieval.adopted import Adopted
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.sensor_topic import SensorTopic


@pytest.fixture
def own_folder(world, adopted, tmp_path):
    """A copy of the map, with the sensor adopted."""
    import shutil

    shutil.copytree(world[0], tmp_path / "map")
    adopted_sensors.save(adopted, tmp_path / "map")
    return tmp_path / "map"


def test_it_is_kept_without_loss_and_known_to_the_map(own_folder, adopted, world):
    reference = reference_map.load(own_folder)
    assert reference.adopted == {"thermal": NEW} and set(reference.sensors) == {"camera", "lidar", "thermal"}
    assert "thermal" not in reference.encoders and "thermal" not in reference.places.embeddings
    (again,) = adopted_sensors.load(own_folder).values()
    observation = world[1].take(UNSEEN[:1]).only(["thermal"]).observation(0)
    before, after = (a.retriever(reference).rank(observation) for a in (adopted, again))
    assert [m.id for m in before.matches] == [m.id for m in after.matches]
    assert before.probability == after.probability and again.report == adopted.report
    adopted_sensors.save(again, own_folder)  # once more, over itself
    assert sorted(p.name for p in (own_folder / "adopted").iterdir()) == ["thermal"]


def test_its_topic_is_known_to_the_map(own_folder, adopted):
    topic = SensorTopic("/flir/image_raw", "sensor_msgs/msg/Image", "flir")
    adopted_sensors.save(replace(adopted, topic=topic), own_folder)
    assert adopted_sensors.load(own_folder)["thermal"].topic == topic
    assert reference_map.load(own_folder).topics == {"thermal": topic}


def test_it_is_not_written_through_a_link(world, adopted, tmp_path):
    import shutil

    shutil.copytree(world[0], tmp_path / "map")
    (tmp_path / "home" / "thermal").mkdir(parents=True)
    (tmp_path / "home" / "thermal" / "thesis.txt").touch()
    (tmp_path / "map" / "adopted").symlink_to(tmp_path / "home")
    with pytest.raises(Any2AnyError, match="it is a symbolic link"):
        adopted_sensors.save(adopted, tmp_path / "map")
    assert [path.name for path in (tmp_path / "home").rglob("*")] == ["thermal", "thesis.txt"]


def test_the_old_calibration_answers_as_before(own_folder, world):
    observation = world[1].take([7]).observation(0)
    before, after = (Retriever.open(f, 5.0).rank(observation) for f in (world[0], own_folder))
    assert before.probability == after.probability and before.modalities == after.modalities == ("camera", "lidar")


def test_an_interrupted_save_leaves_the_old_one(own_folder, adopted, monkeypatch):
    before = (own_folder / "adopted/thermal/adopted.json").read_text()

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(storage, "save", full)
    with pytest.raises(OSError, match="No space"):
        adopted_sensors.save(adopted, own_folder)
    assert (own_folder / "adopted/thermal/adopted.json").read_text() == before
    assert [p.name for p in (own_folder / "adopted").iterdir()] == ["thermal"]


@pytest.mark.parametrize("harm", ["adopted.json", "head-0.npz", "calibration/fusion.npz"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_damage_is_told(own_folder, harm, how):
    file = own_folder / "adopted/thermal" / harm
    file.write_bytes(file.read_bytes()[:10]) if how == "cut" else file.unlink()
    with pytest.raises(Any2AnyError, match=r"Adopt it again|Fit it again|Calibrate again"):
        adopted_sensors.load(own_folder)
    if harm == "adopted.json":
        with pytest.raises(Any2AnyError, match=r"Remove .*, and adopt the sensor again"):
            reference_map.load(own_folder)


def test_it_is_bound_to_the_encoders_of_both_sides(own_folder):
    (stored,) = adopted_sensors.load(own_folder).values()
    reference = reference_map.load(own_folder)
    other = replace(reference, encoders=reference.encoders | {"lidar": EncoderRecord("lidar", "lidar-other", 12)})
    newer = Adopted("thermal", replace(NEW, fingerprint="thermal-other"), stored.heads, stored.calibration)
    for side, of in ((stored, other), (newer, reference)):
        with pytest.raises(Any2AnyError, match="Adopt it again"):
            side.retriever(of)


# --- a map in use ---------------------------------------------------------------------------------------------


@pytest.fixture
def localizer(own_folder):
    opened = Localizer(AliveConfig(), RetrievalConfig(k=3), same_place=5.0)
    opened.open(own_folder, lambda modalities: {})
    return opened


def test_the_new_sensor_answers_where_no_known_one_is_alive(localizer, world):
    known, alone, both = ([seen(world, m, 240) for m in ms] for ms in (["camera"], ["thermal"], ["camera", "thermal"]))
    rankings = [localizer.rank(localizer.observation(given, 10**9)) for given in (known, alone, both)]
    assert rankings[1].modalities == ("thermal",) and rankings[1].missing == ("camera", "lidar")
    assert 0 < rankings[1].probability < 1 and rankings[1].place_set
    assert rankings[2].modalities == ("camera",) and rankings[2].probability == rankings[0].probability


def test_another_encoder_and_an_unknown_sensor_are_refused(localizer, world):
    other = replace(seen(world, "thermal", 3), encoder="thermal-other")
    radar = replace(seen(world, "thermal", 3), modality="radar")
    for stranger in (other, radar):
        with pytest.raises(Any2AnyError, match="cannot be used with map"):
            localizer.add(stranger, 10**9)


def test_a_place_added_later_is_found_by_the_new_sensor(localizer, world):
    latent = world[1].take([5])
    far = np.eye(4)[None] + 500 * np.eye(4, k=3)[None]
    place = ObservationSet(
        {m: latent.embeddings[m] + 3 for m in latent.modalities},
        far,
        ("shed",),
    )
    localizer.add_place(place)
    assert len(localizer.reference) == COUNT + 1 and "thermal" not in localizer.reference.places.embeddings
    ranking = localizer.rank(localizer.observation([seen(world, "thermal", 240)], 10**9), 1000)
    assert len(ranking.matches) == COUNT + 1
    with pytest.raises(Any2AnyError, match="Cannot add a place"):
        localizer.add_place(replace(place.only(["thermal"]), ids=("barn",)))


def test_a_large_maps_vectors_are_kept_for_the_new_sensor_too(own_folder, world, monkeypatch):
    for module in (retriever_module, reference_map):
        monkeypatch.setattr(module, "LARGE", COUNT)
    reference, adopted = reference_map.load(own_folder), adopted_sensors.load(own_folder)["thermal"]
    shape = 1, len(adopted.heads)
    ratio = replace(adopted.calibration, fusion=LikelihoodRatio(np.full(shape, 9.0), np.zeros(shape)))
    first = replace(adopted, calibration=ratio).retriever(reference)
    assert list((own_folder / "adopted/thermal/shards").glob("*/shards.json")) and not (own_folder / "shards").exists()
    assert reference_map.load(own_folder).adopted and adopted_sensors.load(own_folder)  # both pass them by
    monkeypatch.setattr(LargeMapSearcher, "_new_shards", lambda self, reference: pytest.fail("made again"))
    again = replace(adopted_sensors.load(own_folder)["thermal"], calibration=ratio).retriever(reference)
    query = world[1].only(["thermal"]).observation(240)
    one, other = first.rank(query, 20), again.rank(query, 20)
    assert [(m.id, m.score) for m in one.matches] == [(m.id, m.score) for m in other.matches]
    assert len(one.matches) == 20


def test_what_is_asked_for_in_sequence_goes_through_the_filter(own_folder, world):
    follower = Localizer(AliveConfig(), RetrievalConfig(k=3, filter="bayes"), same_place=5.0)
    follower.open(own_folder, lambda modalities: {})
    answers = []
    for i in range(230, 250):
        moment = replace(seen(world, "thermal", i), stamp_ns=i * 10**9)
        answers += follower.add(moment, i * 10**9) + follower.flush(i * 10**9)
    assert np.mean([a.matches[0].id == f"map/{i:03d}" for a, i in zip(answers, range(230, 250), strict=True)]) > 0.8


def test_paths_in_the_documentation_are_those_on_disk(own_folder):
    found = {str(Path(p).relative_to(own_folder / "adopted/thermal").parts[0]) for p in
             (own_folder / "adopted/thermal").rglob("*")}  # fmt: skip
    assert found == {"adopted.json", "calibration", "head-0.npz", "head-1.npz"}
