"""A map that is damaged, or holds what it cannot, is an error with a reason; no other exception, and no map."""

import numpy as np
import pytest
from stored_maps import RECORDS, cut, example, places_file, resave, rewrite

from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.min_max import MinMax
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import calibration, reference_map, retriever
from any2any_ros.retrieval.reference_map import ReferenceMap, load, save


@pytest.fixture
def saved(tmp_path):
    save(example(), tmp_path / "map")
    return tmp_path / "map"


@pytest.fixture(params=[50_000, 3], ids=["read", "mapped"])
def either_way(request, monkeypatch):
    """Read as a small map is, and left on disk as a large one is."""
    monkeypatch.setattr(reference_map, "LARGE", request.param)


DAMAGE = {
    "no map.json": (lambda f: (f / "map.json").unlink(), "it has no map.json"),
    "map.json cut short": (lambda f: cut(f / "map.json"), "delimiter|Unterminated|Expecting"),
    "map.json is a list": (lambda f: (f / "map.json").write_text("[1]"), "map.json holds no JSON object"),
    "map.json is no text": (lambda f: (f / "map.json").write_bytes(b"\xff\xfe"), "decode"),
    "another format": (lambda f: rewrite(f, format=7), "its format is 7, this program reads 1"),
    "no places": (lambda f: places_file(f).unlink(), "places-"),
    "places cut short": (lambda f: cut(places_file(f)), "BadZipFile"),
    "places empty": (lambda f: places_file(f).write_bytes(b""), "BadZipFile"),
    "places that do not fit": (
        lambda f: np.savez(places_file(f), ids=list("abcdef"), poses=np.zeros((2, 4, 4))),
        "6 ids but",
    ),
    "places without ids": (lambda f: np.savez(places_file(f), poses=np.zeros((2, 4, 4))), "ids"),
    "an encoder record short of a field": (lambda f: rewrite(f, encoders={"lidar": {"plug": "lidar"}}), "missing"),
    "no encoders": (lambda f: rewrite(f, encoders={}), "no encoder is recorded"),
    "places of another folder": (lambda f: rewrite(f, places="../map/places-0.npz"), "is no name of a file of places"),
    "places of another count": (lambda f: rewrite(f, count=5), "it has 6 places, and map.json says 5"),
    "a frame that is no text": (lambda f: rewrite(f, frame_id=7), "'frame_id' is 7, not a text"),
    "an empty frame": (lambda f: rewrite(f, frame_id=""), "its frame_id is empty"),
    "a name on two lines": (lambda f: rewrite(f, name="a\nb"), "'name' is no printable text"),
    "an encoder without dimensions": (
        lambda f: rewrite(f, encoders={m: vars(r) | {"dimension": 0} for m, r in RECORDS.items()}),
        "in 'encoders/lidar' 'dimension' is 0",
    ),
    "ids of bytes": (lambda f: resave(f, ids=np.array([b"a"] * 6)), "The ids of the places cannot be used: they are"),
    "ids of a million letters": (lambda f: resave(f, ids=np.array(["x" * 1_000_000, *"bcdef"])), "1000000 characters"),
    "vectors that are missing": (lambda f: resave(f, **{"embedding/lidar": None}), "its 'lidar' vectors are missing"),
    "vectors of another type": (lambda f: resave(f, **{"embedding/text": np.ones((6, 16))}), "their type float64"),
    "encoders are a list": (lambda f: rewrite(f, encoders=[]), "'encoders' is list"),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.usefixtures("either_way")
def test_damage_is_told_and_nothing_else_is_raised(saved, damage, why):
    damage(saved)
    with pytest.raises(Any2AnyError, match=f"Cannot read the map .*{why}") as error:
        load(saved)
    assert "uild the map again" in error.value.remedy or "build-map" in error.value.remedy


VALUES = {
    "a vector that is finite in part": {"embedding/text": np.array([[np.nan] + [1.0] * 15] * 6, np.float32)},
    "an infinite vector": {"embedding/text": np.full((6, 16), np.inf, np.float32)},
    "a pose of zeros": {"poses": np.zeros((6, 4, 4))},
    "an infinite pose": {"poses": np.full((6, 4, 4), np.inf)},
    "a pose that is mirrored": {"poses": np.tile(np.diag([1.0, -1, 1, 1]), (6, 1, 1))},
}


@pytest.mark.parametrize("changes", VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize("fusion", [RawMean(), MinMax()], ids=["bounded", "whole"])
def test_values_that_are_none_are_refused_at_once_or_when_a_large_map_is_first_prepared(
    saved, monkeypatch, changes, fusion
):
    calibration.save(calibration.Calibration(fusion, None, load(saved).fingerprints), saved)
    resave(saved, **changes)
    with pytest.raises(Any2AnyError, match=r"Cannot read the map .*cannot be used|Cannot read the map .*not usable"):
        load(saved)
    for module in (reference_map, retriever):
        monkeypatch.setattr(module, "LARGE", 3)
    with pytest.raises(Any2AnyError, match=r"cannot be used|are not usable"):
        retriever.Retriever.open(saved, device="cpu")


# what a mapped file tells without being read; ids are read, and so are their headers
LARGE_DAMAGE = {
    "compressed": (lambda f, c: np.savez_compressed(f, **c), "is compressed"),
    "another type": (lambda f, c: np.savez(f, **c | {"embedding/text": c["embedding/text"].astype(float)}), "float64"),
    "another type of poses": (lambda f, c: np.savez(f, **c | {"poses": c["poses"].astype("f4")}), "float32"),
    "another shape": (lambda f, c: np.savez(f, **c | {"embedding/text": c["embedding/text"][1:]}), "5, 16. for 6 ids"),
    "another width": (lambda f, c: np.savez(f, **c | {"embedding/text": c["embedding/text"][:, 1:]}), "15 dimensions"),
    "an id twice": (lambda f, c: np.savez(f, **c | {"ids": np.array(["a"] * 6)}), "appears twice"),
    "a wrong header": (
        lambda f, c: f.write_bytes(f.read_bytes().replace(b"(6, 16)", b"(9, 16)")),
        "holds 384 bytes|CRC",
    ),
    "no poses": (lambda f, c: np.savez(f, **{n: v for n, v in c.items() if n != "poses"}), "poses"),
}


@pytest.mark.parametrize(("damage", "why"), LARGE_DAMAGE.values(), ids=LARGE_DAMAGE.keys())
def test_damage_of_a_large_map_is_told_without_reading_it(saved, monkeypatch, damage, why):
    monkeypatch.setattr(reference_map, "LARGE", 3)
    with np.load(places_file(saved)) as stored:
        content = dict(stored)
    damage(places_file(saved), content)
    with pytest.raises(Any2AnyError, match=f"Cannot read the map .*{why}") as error:
        load(saved)
    assert error.value.remedy == "Build the map again"


def test_pickled_objects_are_never_loaded(saved):
    np.savez(places_file(saved), ids=np.array(["a"]), poses=np.array([{"x": 1}], dtype=object))
    with pytest.raises(Any2AnyError, match="allow_pickle"):
        load(saved)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ({"lidar": RECORDS["lidar"]}, "'text'.*no encoder is recorded"),
        ({**RECORDS, "text": RECORDS["lidar"]}, "encoder has 4"),
    ],
)
def test_vectors_without_a_record_of_their_maker_are_refused(records, why):
    with pytest.raises(Any2AnyError, match=f"Map 'town' does not fit together: .*{why}|{why}"):
        example(encoders=records)


@pytest.mark.parametrize("id", ["", "a\nb", "\ud800", "x" * 201, "x" * 1_000_000])
def test_an_id_that_is_none_is_neither_added_nor_saved(tmp_path, id):
    place = ObservationSet({"text": np.ones((1, 16))}, np.eye(4)[None], (id,))
    with pytest.raises(Any2AnyError, match=r"The ids of the places cannot be used.*1 to 200 characters"):
        example().with_places(place)
    with pytest.raises(Any2AnyError, match=r"Cannot write the map .*: The ids of the places cannot be used"):
        save(ReferenceMap(place, RECORDS), tmp_path / "map")
    assert not (tmp_path / "map").exists()


def test_modalities_of_one_space_have_vectors_of_one_length(saved):
    records = {m: vars(record) | {"space": "clip"} for m, record in RECORDS.items()}
    rewrite(saved, encoders=records)
    with pytest.raises(Any2AnyError, match=r"Cannot read the map .*'lidar' vectors"):
        load(saved)
