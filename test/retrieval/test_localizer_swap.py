"""Another map takes the place of the one in use."""

import numpy as np
import pytest

from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Embedding, ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap

MS = 1_000_000
IDS = ("church", "field", "shops")


def save(folder, name, ids=IDS, **records):
    """Write a map of three places, each with one axis of a beacon and of a radio. records: encoders that differ."""
    axes = np.eye(3, dtype=np.float32)
    known = {m: EncoderRecord(m, f"{m}:1", 3) for m in ("beacon", "radio")} | records
    places = ObservationSet(dict.fromkeys(known, axes), np.tile(np.eye(4), (3, 1, 1)), ids)
    reference_map.save(ReferenceMap(places, known, name), folder)
    return folder


@pytest.fixture
def localizer(tmp_path):
    made = Localizer(AliveConfig(source_timeout=1.0), RetrievalConfig(k=2), same_place=5.0)
    made.open(save(tmp_path / "village", "village"), no_timeouts)
    return made


def no_timeouts(modalities):
    return {}


def seen(modality, place, stamp_ms, encoder=None):
    return Embedding(modality, np.eye(3, dtype=np.float32)[place], stamp_ms * MS, encoder=encoder or f"{modality}:1")


def answer(localizer, place, stamp_ms):
    """Return the ranking of a moment in which both sensors see one place."""
    (ranking,) = [r for m in ("beacon", "radio") for r in localizer.add(seen(m, place, stamp_ms), stamp_ms * MS)]
    return ranking


def test_another_map_is_opened_beside_the_one_in_use(localizer, tmp_path):
    """Until it is used, nothing of it counts; from then on, nothing of the old one does."""
    opened = localizer.opened(save(tmp_path / "twin", "twin", ("A", "B", "C")))
    assert answer(localizer, 1, 1000).matches[0].id == "field" and localizer.reference.name == "village"
    localizer.use(opened, no_timeouts)
    assert answer(localizer, 1, 1100).matches[0].id == "B" and localizer.reference.name == "twin"


def test_a_map_whose_timeouts_are_refused_leaves_the_old_one(localizer, tmp_path):
    def refused(modalities):
        raise Any2AnyError("Parameter 'source_timeouts.beacon' cannot be used", "it is negative", "Give seconds")

    with pytest.raises(Any2AnyError, match="negative"):
        localizer.open(save(tmp_path / "twin", "twin", ("A", "B", "C")), refused)
    assert localizer.reference.name == "village" and answer(localizer, 2, 1000).matches[0].id == "shops"


def test_a_moment_that_is_open_is_ranked_by_the_new_map_with_all_its_sensors(localizer, tmp_path):
    answer(localizer, 0, 1000)
    assert not localizer.add(seen("beacon", 1, 1100), 1100 * MS)
    localizer.open(save(tmp_path / "twin", "twin", ("A", "B", "C")), no_timeouts)
    (ranking,) = localizer.add(seen("radio", 1, 1100), 1110 * MS)
    assert ranking.matches[0].id == "B" and ranking.modalities == ("beacon", "radio")
    assert answer(localizer, 2, 1200).matches[0].id == "C"


def test_no_sensor_is_told_stale_because_of_another_map(localizer, tmp_path):
    answer(localizer, 0, 1000)
    assert localizer.watch(1010 * MS) == ([], ["beacon", "radio"], [])
    localizer.open(save(tmp_path / "twin", "twin", ("A", "B", "C")), no_timeouts)
    assert localizer.watch(1020 * MS) == ([], [], []) and localizer.alive == ("beacon", "radio")


def test_what_another_encoder_made_is_forgotten(localizer, tmp_path):
    """It cannot be compared with the places of the new map."""
    answer(localizer, 0, 1000)
    localizer.watch(1010 * MS)
    localizer.add(seen("beacon", 1, 1100), 1100 * MS)
    other = EncoderRecord("radio", "radio:2", 3)
    localizer.open(save(tmp_path / "twin", "twin", ("A", "B", "C"), radio=other), no_timeouts)
    assert localizer.watch(1110 * MS) == ([], [], []) and localizer.alive == ("beacon",)
    (ranking,) = localizer.flush(1150 * MS)
    assert ranking.matches[0].id == "B" and ranking.modalities == ("beacon",)
    with pytest.raises(Any2AnyError, match="radio:1"):
        localizer.add(seen("radio", 2, 1200), 1200 * MS)
    localizer.add(seen("radio", 2, 1200, "radio:2"), 1200 * MS)
    (ranking,) = localizer.add(seen("beacon", 2, 1200), 1200 * MS)
    assert ranking.matches[0].id == "C" and ranking.modalities == ("beacon", "radio")


def test_where_no_encoder_is_the_same_nothing_is_kept(localizer, tmp_path):
    localizer.add(seen("beacon", 1, 1000), 1000 * MS)
    localizer.watch(1010 * MS)
    others = {m: EncoderRecord(m, f"{m}:2", 3) for m in ("beacon", "radio")}
    localizer.open(save(tmp_path / "twin", "twin", ("A", "B", "C"), **others), no_timeouts)
    assert not localizer.assembler.waiting and localizer.watch(1020 * MS) == ([], [], [])


def test_the_timeouts_of_the_new_map_count(localizer, tmp_path):
    answer(localizer, 0, 1000)
    localizer.open(save(tmp_path / "twin", "twin", ("A", "B", "C")), lambda known: {"radio": 0.1})
    localizer.watch(1010 * MS)
    assert localizer.watch(1200 * MS)[0] == ["radio"]
