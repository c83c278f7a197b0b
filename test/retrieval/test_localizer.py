"""A map in use, without ROS: moments become rankings, deaths are told, requests answered, bad input refused."""

from dataclasses import replace

import numpy as np
import pytest

from any2any_ros import encoders
from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Embedding, Observation, ObservationSet
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.trust.drift import Difference

MS = 1_000_000
TEXTS = ("a red brick church", "an empty field by the river", "two shops under old trees")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A map of three places: a beacon with one axis a place, and a caption."""
    text = encoders.build("text", {})
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 0, 3] = 0, 20, 40
    places = ObservationSet(
        {"beacon": np.eye(3, dtype=np.float32), "text": np.stack([text.encode(t) for t in TEXTS])},
        poses,
        ("church", "field", "shops"),
    )
    records = {
        "beacon": EncoderRecord("beacon", "beacon:1", 3),
        "text": EncoderRecord("text", text.fingerprint, text.dimension),
    }
    where = tmp_path_factory.mktemp("localizer") / "map"
    reference_map.save(ReferenceMap(places, records, "village"), where)
    return where


@pytest.fixture
def localizer(folder):
    opened = Localizer(AliveConfig(source_timeout=1.0), RetrievalConfig(k=2), same_place=5.0)
    opened.open(folder, lambda modalities: {})
    return opened


def beacon(place, stamp_ms=1000, **other):
    return Embedding("beacon", np.eye(3, dtype=np.float32)[place], stamp_ms * MS, encoder="beacon:1", **other)


def caption(text, stamp_ms=1000):
    encoder = encoders.build("text", {})
    return Embedding("text", encoder.encode(text), stamp_ms * MS, encoder=encoder.fingerprint)


def test_a_moment_is_answered_when_everybody_has_spoken(localizer):
    assert localizer.add(beacon(1), 1000 * MS) == []  # the text is expected
    (ranking,) = localizer.add(caption(TEXTS[1], 1010), 1010 * MS)
    assert ranking.matches[0].id == "field" and len(ranking.matches) == 2
    assert ranking.modalities == ("beacon", "text") and ranking.missing == ()
    assert localizer.flush(1020 * MS) == []


def test_a_moment_that_waits_in_vain_is_answered_by_who_is_there(localizer):
    localizer.add(beacon(2), 1000 * MS)
    (ranking,) = localizer.flush(1050 * MS)
    assert ranking.matches[0].id == "shops"
    assert ranking.modalities == ("beacon",) and ranking.missing == ("text",)


def test_deaths_and_returns_are_told_once_and_the_last_death_is_answered(localizer):
    localizer.add(beacon(0), 1000 * MS)
    localizer.add(caption(TEXTS[0]), 1000 * MS)
    assert localizer.watch(1000 * MS) == ([], ["beacon", "text"], [])
    localizer.add(beacon(0, 1900), 1900 * MS)
    assert localizer.watch(2100 * MS) == (["text"], [], [])
    died, came, rankings = localizer.watch(3000 * MS)
    assert (died, came) == (["beacon"], [])
    assert len(rankings) == 1 and rankings[0].matches == () and rankings[0].missing == ("beacon", "text")
    assert localizer.watch(3100 * MS) == ([], [], [])
    localizer.add(beacon(0, 3200), 3200 * MS)
    assert localizer.watch(3200 * MS) == ([], ["beacon"], [])


def test_timeouts_differ_by_sensor(folder):
    localizer = Localizer(AliveConfig(source_timeout=1.0), RetrievalConfig(k=1), same_place=5.0)
    requested = []
    localizer.open(folder, lambda modalities: requested.extend(modalities) or {"text": 9.0})
    assert sorted(requested) == ["beacon", "text"]
    localizer.add(beacon(0), 1000 * MS)
    localizer.add(caption(TEXTS[0]), 1000 * MS)
    assert localizer.assembler.alive(5000 * MS) == ("text",)


def test_a_request_names_embeddings_or_a_text_or_asks_for_now(localizer):
    text = localizer.map.encode("shops under trees", 5)
    assert set(localizer.observation([beacon(0)], 5).embeddings) == {"beacon"}
    both = localizer.observation([beacon(0), text], 5)
    assert set(both.embeddings) == {"beacon", "text"} and both.stamp_ns == 1000 * MS
    assert localizer.rank(localizer.observation([text], 5)).matches[0].id == "shops"
    assert localizer.observation([], 5).embeddings == {}
    localizer.add(beacon(1), 1000 * MS)
    assert set(localizer.observation([], 1100 * MS).embeddings) == {"beacon"}


def test_a_request_may_want_more_matches_than_usual(localizer):
    assert len(localizer.rank(Observation({"beacon": np.ones(3)}), 3).matches) == 3
    assert len(localizer.rank(Observation({"beacon": np.ones(3)})).matches) == 2


def test_a_place_is_added_to_the_map_in_memory_and_to_its_index(localizer):
    here = ObservationSet({"beacon": -np.eye(3, dtype=np.float32)[:1]}, np.eye(4)[None], ("here",))
    localizer.add_place(here)
    assert localizer.rank(Observation({"beacon": [-1.0, 0, 0]})).matches[0].id == "here"
    assert len(localizer.reference) == 4


@pytest.mark.parametrize(
    ("embedding", "why"),
    [
        (Embedding("thermal", np.ones(3), MS), "the map's modalities are beacon, text"),
        (Embedding("beacon", np.ones(4), MS), "it has 4 dimensions, the map's have 3"),
        (Embedding("beacon", np.ones(3), MS, encoder="beacon:2"), "encoder 'beacon:2' made it"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_changes_nothing(localizer, embedding, why):
    for call in (lambda: localizer.add(embedding, MS), lambda: localizer.observation([embedding], MS)):
        with pytest.raises(Any2AnyError, match=why):
            call()
    assert localizer.assembler.streams == {}


def test_a_stream_without_a_fingerprint_is_not_taken_for_the_sensor_s(localizer):
    """In a request, the user vouches for an embedding."""
    nameless = Embedding("beacon", np.ones(3), MS)
    with pytest.raises(Any2AnyError, match="it does not name its encoder"):
        localizer.add(nameless, MS)
    assert localizer.assembler.streams == {}
    assert localizer.observation([nameless], MS).modalities == ("beacon",)


def test_without_a_map_every_request_says_so():
    without_map = Localizer(AliveConfig(), RetrievalConfig(k=1), same_place=5.0)
    for call in (
        lambda: without_map.add(beacon(0), MS),
        lambda: without_map.rank(Observation({})),
        lambda: without_map.observation([beacon(0)], MS),
        lambda: without_map.add_place(ObservationSet({}, np.eye(4)[None], ("a",))),
    ):
        with pytest.raises(Any2AnyError, match="no map is loaded"):
            call()


def test_a_map_that_cannot_be_opened_leaves_the_old_one(localizer, tmp_path):
    with pytest.raises(Any2AnyError, match=r"map\.json"):
        localizer.open(tmp_path, lambda modalities: {})
    localizer.add(beacon(2), 1000 * MS)
    assert localizer.flush(1050 * MS)[0].matches[0].id == "shops"


def test_a_text_cannot_be_asked_for_where_the_map_holds_none(localizer, tmp_path):
    place = ObservationSet({"beacon": np.eye(3, dtype=np.float32)}, np.tile(np.eye(4), (3, 1, 1)), ("a", "b", "c"))
    reference_map.save(ReferenceMap(place, {"beacon": EncoderRecord("beacon", "beacon:1", 3)}, "mute"), tmp_path)
    localizer.open(tmp_path, lambda modalities: {})
    with pytest.raises(Any2AnyError, match="map 'mute' holds no text"):
        localizer.map.encode("a church", MS)


# --- drift ----------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(folder, tmp_path):
    """The village, calibrated: its beacon found the best reference alike by .9 or so, the rest in its third number."""
    reference = reference_map.load(folder)
    reference_map.save(reference, tmp_path)
    usual = {"beacon": Difference.fit(np.array([v - np.eye(3)[i % 2] for i, v in enumerate(views(0.9, 300, 0))]))}
    calibration.save(replace(calibration.uncalibrated(reference, 5.0), drift=usual), tmp_path)
    localizer = Localizer(AliveConfig(source_timeout=1.0), RetrievalConfig(k=1), same_place=5.0)
    localizer.open(tmp_path, lambda modalities: {})
    return localizer


def views(alike, count, seed, standing=False):
    """Yield what the beacon says of places of the village that it finds so much alike."""
    draw = np.random.default_rng(seed)
    for i in range(count):
        cosine = alike + 0.02 * draw.normal()
        vector = np.zeros(3, dtype=np.float32)
        vector[[0 if standing else i % 2, 2]] = cosine, np.sqrt(1 - cosine**2)
        yield vector


def pass_by(localizer, alike, count, standing=False):
    """Drive past places that the beacon finds so much alike."""
    for i, vector in enumerate(views(alike, count, 1, standing)):
        now = (1000 + 100 * i) * MS
        localizer.add(Embedding("beacon", vector, now, encoder="beacon:1"), now)
        localizer.flush(now)


def test_a_sensor_that_sees_the_map_otherwise_is_suspect_before_a_hundred_places(watched):
    pass_by(watched, 0.9, 200)
    assert watched.drift.suspects == ()
    pass_by(watched, 0.75, 100)
    assert watched.drift.suspects == ("beacon",)


def test_a_robot_that_stands_still_is_no_drift(watched):
    pass_by(watched, 0.8, 300, standing=True)
    assert watched.drift.suspects == () and watched.drift.strength["beacon"] == 0.0


def test_a_request_says_nothing_about_drift(watched):
    for i in range(300):
        watched.rank(Observation({"beacon": np.eye(3)[i % 2] + [0.0, 0.0, 0.9]}))
    assert watched.drift.strength["beacon"] == 0.0


def test_another_map_is_another_test(watched, folder):
    pass_by(watched, 0.75, 100)
    watched.open(folder, lambda modalities: {})
    assert watched.drift.suspects == () and watched.drift.strength == {}
