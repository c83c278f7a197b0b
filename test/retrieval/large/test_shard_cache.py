"""A large map opened from disk answers as one held in memory does, and what lies beside it can never make it answer
otherwise: what is stale, damaged, half-written or cannot be written."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.fusion import any2any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.z_score import ZScore
from any2any_ros.imputers.none import NoImputer
from any2any_ros.learning import csa
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.retrieval import calibration, reference_map, retriever
from any2any_ros.retrieval.calibration import Calibration, uncalibrated
from any2any_ros.retrieval.large import search, shard_cache, shards
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.large.shard_cache import IN_MEMORY, ShardFolder
from any2any_ros.retrieval.large.shards import Shards
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.searcher import WholeMapSearcher
from any2any_ros.retrieval.similarity import SameSpace
from any2any_ros.trust.confidence import Confidence

WIDTH = {"audio": 6, "camera": 6, "lidar": 6}
RECORDS = {m: EncoderRecord(m, f"{m}-1", d, {}, "one space") for m, d in WIDTH.items()}
N = 300


@pytest.fixture(autouse=True)
def small_maps_are_large(monkeypatch):
    for module in (retriever, reference_map):
        monkeypatch.setattr(module, "LARGE", 100)


def places(seed=0, n=N, missing=0.3):
    draw = np.random.default_rng(seed)
    columns = {m: draw.normal(size=(n, d)).astype(np.float32) for m, d in WIDTH.items()}
    for column in columns.values():
        column[draw.random(n) < missing] = np.nan
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, :2, 3] = draw.normal(size=(n, 2)) * 100
    return ObservationSet(columns, poses, tuple(f"{seed}/{i}" for i in range(n)))


def fusions(shape=(3, 3)):
    draw = np.random.default_rng(1)
    similarity = draw.normal(size=(3000, *shape)) / 3
    return {
        "likelihood_ratio": LikelihoodRatio(np.full(shape, 4.0), np.zeros(shape)),
        "any2any": any2any.calibrate(similarity, draw.random(3000) < 0.5),
    }


def trust():
    """A confidence that accepts everything and puts every candidate into the place set."""
    steps = {"*": np.array([[-30.0, 0.0], [0.01, 0.99]])}
    weights = {"*": np.array([[[0.0, 1.0], [0.0, 0.0]], [[20.0, 0.0], [0.0, 0.0]]])}
    return Confidence(1.0, weights, steps, {"*": -np.inf}, {"*": np.empty(0)}, {"*/0": np.full(20, np.inf)})


@pytest.fixture(params=fusions().values(), ids=fusions().keys())
def folder(request, tmp_path):
    """A calibrated map on disk that nobody has opened."""
    write(tmp_path / "map", request.param)
    return tmp_path / "map"


@pytest.fixture
def one(tmp_path):
    """The same with one fusion, where it does not matter which."""
    write(tmp_path / "map")
    return tmp_path / "map"


def write(folder, fusion=None, seed=0):
    reference_map.save(ReferenceMap(places(seed), RECORDS), folder)
    known = {m: r.fingerprint for m, r in RECORDS.items()}
    calibration.save(Calibration(fusion or fusions()["likelihood_ratio"], trust(), known, 5.0), folder)


def opened(folder):
    return Retriever.open(folder, 5.0, "cpu")


def in_memory(found):
    """The same map with nothing on disk: vectors, shards, and no file that it could look at."""
    whole = found.places
    own = ObservationSet({m: np.array(v) for m, v in whole.embeddings.items()}, np.array(whole.poses), whole.ids)
    return Retriever(replace(found.reference, places=own), found.calibration, device="cpu")


def queries(count=12):
    asked = places(99, count, missing=0.4)
    return [asked.observation(i) for i in range(count)] + [Observation({})]


def same_answers(one, other):
    answered = 0
    for query in queries():
        a, b = one.rank(query, 7), other.rank(query, 7)
        assert [(m.id, m.score) for m in a.matches] == [(m.id, m.score) for m in b.matches]
        for x, y in zip(a.matches, b.matches, strict=True):
            np.testing.assert_array_equal(x.pose, y.pose)
            np.testing.assert_array_equal(x.pair_probability, y.pair_probability)
            np.testing.assert_equal(x.probability, y.probability)
        assert (a.accepted, a.place_set, a.modalities, a.missing) == (b.accepted, b.place_set, b.modalities, b.missing)
        np.testing.assert_array_equal(a.place_positions, b.place_positions)
        assert set(a.differences) == set(b.differences)
        for m, difference in a.differences.items():
            np.testing.assert_array_equal(difference, b.differences[m])
        answered += len(a.matches) > 0
    assert answered > 8


def aligned_by(reference, alignments, fusion):
    return replace(uncalibrated(reference), fusion=fusion, alignments=alignments)


def kept(folder):
    return sorted(p for p in (folder / "shards").iterdir() if p.is_dir())


def never_made(monkeypatch):
    def made(self, reference):
        raise AssertionError("the shards are made again")

    monkeypatch.setattr(LargeMapSearcher, "_new_shards", made)


# --- the same answers -------------------------------------------------------------------------------------------


def test_a_map_answers_from_disk_as_from_memory_the_first_time_and_after(folder, monkeypatch):
    first = opened(folder)
    assert len(kept(folder)) == 1
    held = in_memory(first)
    never_made(monkeypatch)
    again = opened(folder)
    assert isinstance(again.searcher, LargeMapSearcher) and isinstance(held.searcher, LargeMapSearcher)
    on_disk, in_ram = (found.searcher.shards._shards[0][0] for found in (again, held))
    assert not on_disk.flags.writeable and in_ram.flags.writeable
    same_answers(first, held)
    same_answers(again, held)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the kernel tells what is in memory on Linux alone")
def test_neither_opening_nor_ranking_leaves_vectors_or_poses_in_memory(one):
    """Not the first time either, when all of them are read."""

    def looked_at():
        file = re.escape(str(one)) + r"/places-\w+\.npz"
        found = re.findall(file + r"\n.*?\nRss: +(\d+) kB", Path("/proc/self/smaps").read_text(), re.S)
        return sum(map(int, found))

    for _ in range(2):
        found = opened(one)
        assert looked_at() == 0
        found.places.observation(5)
        assert looked_at() > 0
        assert found.rank(queries()[0]).differences
        assert looked_at() == 0


def test_it_still_does_when_places_are_added_one_by_one(folder):
    opened(folder)
    again = opened(folder)
    held = in_memory(again)
    for seed in range(1, 8):
        more = places(seed, 1 + seed % 3)
        more = more.only(["camera", "lidar"]) if seed % 2 else more
        for side in (again, held):
            side.add(more)
    assert len(again.places) == len(held.places) > N
    same_answers(again, held)


def test_places_added_are_found_and_saved_and_kept_anew(one):
    opened(one)
    before = kept(one)
    localizer = Localizer(AliveConfig(), RetrievalConfig(device="cpu"), 5.0)
    localizer.open(one, lambda known: {})
    for i in range(3):
        new = places(50 + i, 1, missing=0)
        new = replace(new, embeddings=dict.fromkeys(WIDTH, new.embeddings["lidar"]))  # all nine pairs agree
        localizer.add_place(new)
        assert localizer.rank(new.observation(0)).matches[0].id == new.ids[0]
    reference_map.save(localizer.reference, one)
    again = opened(one)
    assert again.places.ids == localizer.reference.places.ids and len(again.places) == N + 3
    same_answers(again, localizer.retriever)
    assert kept(one) != before and len(kept(one)) == 1


def across(seed=0):
    """Return alignments into a space shared by two pairs, and others."""
    draw = np.random.default_rng(seed)
    shared = draw.normal(size=(100, 3))
    sides = {m: shared @ draw.normal(size=(3, d)) for m, d in WIDTH.items()}
    fitted = csa.fit(sides["camera"], sides["lidar"])
    same = SameSpace()
    return {("camera", "lidar"): fitted, ("audio", "lidar"): fitted, ("lidar", "lidar"): same, ("audio", "audio"): same}


@pytest.mark.parametrize("fusion", fusions((3, 2)).values(), ids=fusions((3, 2)).keys())
def test_alignments_are_known_again_by_their_content(one, fusion, monkeypatch):
    reference = reference_map.load(one)

    def aligned(seed):
        return Retriever(reference, aligned_by(reference, across(seed), fusion), device="cpu")

    first = aligned(0)
    assert len(first.searcher.shards.columns) == 3  # both pairs that share an alignment share its vectors
    held, made = in_memory(first), LargeMapSearcher._new_shards
    never_made(monkeypatch)
    same_answers(aligned(0), held)
    monkeypatch.setattr(LargeMapSearcher, "_new_shards", made)
    other = aligned(1)
    same_answers(other, in_memory(other))


def test_a_localizer_searches_by_as_many_threads_as_it_was_told(one, monkeypatch):
    pools = []

    class Pool(search.ThreadPoolExecutor):
        def __init__(self, threads):
            pools.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(search, "ThreadPoolExecutor", Pool)
    found = []
    for threads in (1, 3):
        localizer = Localizer(AliveConfig(), RetrievalConfig(threads=threads), 5.0)
        localizer.open(one, lambda modalities: dict.fromkeys(modalities, 1.0))
        found.append([m.id for m in localizer.rank(localizer.reference.places.observation(3)).matches])
    assert found[0] == found[1] and pools == [3]


def test_a_map_that_is_not_calibrated_yet_keeps_its_shards_too(one):
    shutil.rmtree(one / "calibration")
    found = opened(one)
    assert len(list((one / "shards").glob("*/shards.json"))) == 1
    same_answers(found, in_memory(found))


def test_a_map_of_a_fusion_without_a_bound_is_compared_whole_and_keeps_nothing(one):
    reference = reference_map.load(one)
    found = Retriever(reference, aligned_by(reference, across(), ZScore()))
    assert isinstance(found.searcher, WholeMapSearcher) and not (one / "shards").exists()


def test_an_imputer_that_makes_other_references_keeps_nothing(one):
    class Everywhere(NoImputer):
        def extend(self, observations):
            filled = {m: np.nan_to_num(np.asarray(v), nan=1.0) for m, v in observations.embeddings.items()}
            return ObservationSet(filled, observations.poses, observations.ids)

    reference = reference_map.load(one)
    calibration = aligned_by(reference, across(), fusions()["likelihood_ratio"])
    Retriever(reference, replace(calibration, imputer=Everywhere()))
    assert not (one / "shards").exists()


def test_an_alignment_that_is_no_fitted_state_keeps_nothing(one):
    class Mine:
        def query(self, x):
            return x

        reference = query

    reference = reference_map.load(one)
    fusion = LikelihoodRatio(np.full((1, 1), 4.0), np.zeros((1, 1)))
    Retriever(reference, aligned_by(reference, {("lidar", "lidar"): Mine()}, fusion))
    assert not (one / "shards").exists()


def test_other_places_never_meet_the_shards_of_the_file(one):
    opened(one)
    reference = reference_map.load(one)
    assert reference.shard_cache == ShardFolder(one, reference.shard_cache.source)
    backwards = replace(reference, places=reference.places.take(range(N - 1, -1, -1)))
    assert backwards.shard_cache is IN_MEMORY and reference.with_places(places(3, 1)).shard_cache is IN_MEMORY
    query = places(0, missing=0.3).observation(7)
    assert {Retriever(r, calibration.load(one)).rank(query, 1).matches[0].id for r in (reference, backwards)} == {"0/7"}


# --- what is stale ----------------------------------------------------------------------------------------------


def test_another_map_in_the_same_folder_has_shards_of_its_own_and_the_old_ones_go(one):
    opened(one)
    before = kept(one)
    write(one, seed=7)
    found = opened(one)
    assert found.places.ids[0] == "7/0"
    same_answers(found, in_memory(found))
    assert len(kept(one)) == 1 and kept(one) != before


@pytest.mark.parametrize("what", ["source", "ALIGNED", "FORMAT", "alignment", "columns"])
def test_whatever_makes_other_vectors_makes_another_key(tmp_path, what, monkeypatch):
    fitted = csa.fit(*np.random.default_rng(0).normal(size=(2, 50, 4)))
    columns, source = {"lidar for camera": fitted, "camera for camera": SameSpace()}, "places-1.npz"
    before = ShardFolder(tmp_path, source)._key(columns)
    assert ShardFolder(tmp_path / "moved", source)._key(columns) == before
    if what == "source":
        source = "places-2.npz"
    elif what == "alignment":
        columns["lidar for camera"] = csa.fit(*np.random.default_rng(1).normal(size=(2, 50, 4)))
    elif what == "columns":
        columns = dict(reversed(columns.items()))
    else:
        monkeypatch.setattr(shards if what == "FORMAT" else shard_cache, what, 77)
    assert ShardFolder(tmp_path, source)._key(columns) != before


def test_an_adopted_sensors_are_its_own(one):
    (one / "adopted" / "thermal").mkdir(parents=True)
    made = Shards({"a": 2})
    made.add({"a": np.ones((4, 2))})
    folder = ShardFolder(one, "places-1.npz").of("adopted/thermal")
    assert len(folder.shards({"a": SameSpace()}, lambda: made)) == 4
    assert len(list((one / "adopted" / "thermal" / "shards").glob("*/shards.json"))) == 1
    assert not (one / "shards").exists()
    assert IN_MEMORY.of("adopted/thermal").shards({}, lambda: made) is made


# --- what is damaged --------------------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "an index cut short": lambda home: cut(home / "shards.json"),
    "an index of another format": lambda home: (home / "shards.json").write_text('{"format": 0}'),
    "vectors cut short": lambda home: cut(next(home.glob("0-*.npy"))),
    "vectors of another shape": lambda home: np.save(next(home.glob("1-*.npy")), np.zeros((3, 4), np.float16)),
    "patterns that are gone": lambda home: next(home.glob("present-*.npy")).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_shards_are_made_again_with_one_warning(one, damage):
    opened(one)
    (home,) = kept(one)
    damage(home)
    with pytest.warns(UserWarning, match="made again") as told:
        found = opened(one)
    assert len(told) == 1
    same_answers(found, in_memory(found))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same_answers(opened(one), found)


# --- what cannot be written -------------------------------------------------------------------------------------


def held_with_one_warning(folder):
    with pytest.warns(UserWarning, match="vectors of a large map cannot be written") as told:
        found = opened(folder)
    assert len(told) == 1
    assert found.searcher.shards._shards[0][0].flags.writeable
    return found


def test_a_file_in_the_way_leaves_the_map_in_memory(one):
    (one / "shards").write_text("not a folder")
    found = held_with_one_warning(one)
    same_answers(found, in_memory(found))


@contextmanager
def nothing_may_be_written(folder):
    """Take away the right to write: as a user who is not root, if need be."""
    paths = [folder.parent, folder, *(p for p in folder.rglob("*") if p.is_dir())]
    for path in paths:
        path.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o755)


@pytest.fixture
def public():
    """A map where another user, too, can read it."""
    with tempfile.TemporaryDirectory() as home:
        write(Path(home) / "map")
        yield Path(home) / "map"


def test_a_folder_that_cannot_be_written_leaves_the_map_in_memory(public):
    with nothing_may_be_written(public):
        found = held_with_one_warning(public)
    assert not (public / "shards").exists()
    same_answers(found, in_memory(found))


def test_shards_that_are_there_are_opened_from_a_folder_that_cannot_be_written(public, monkeypatch):
    held = in_memory(opened(public))
    never_made(monkeypatch)
    with nothing_may_be_written(public):
        found = opened(public)
    same_answers(found, held)


def test_a_full_disk_leaves_the_map_in_memory_and_nothing_behind(one, monkeypatch):
    real, count = shards.write_atomically, 0

    def full(path, write):
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "No space left on device")
        real(path, write)

    monkeypatch.setattr(shards, "write_atomically", full)
    found = held_with_one_warning(one)
    assert kept(one) == []
    same_answers(found, in_memory(found))


# --- other processes --------------------------------------------------------------------------------------------

OPENING = """
import logging, os, signal, sys
from any2any_ros import storage
from any2any_ros.retrieval import reference_map, retriever
from any2any_ros.retrieval.large import shards
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logging.getLogger("any2any_ros").setLevel(logging.INFO)
retriever.LARGE = reference_map.LARGE = 100
from pathlib import Path
folder, killed = Path(sys.argv[1]), int(sys.argv[2])
real, count = storage.write_atomically, 0

def write(path, content):
    global count
    count += 1
    if count == killed:
        def half(stream):
            stream.write(b"half of it"); stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        real(path, half)
    real(path, content)

shards.write_atomically = storage.write_atomically = write
if killed == 0:  # start together
    print("ready", flush=True)
    sys.stdin.readline()
found = retriever.Retriever.open(folder, 5.0, "cpu")
query = found.places.observation(5)
print("answer", [(m.id, m.score) for m in found.rank(query, 5).matches], flush=True)
"""


def start(folder, killed):
    command = [sys.executable, "-c", OPENING, str(folder), str(killed)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("killed", [1, 3, 5])  # in the first file, amid them, in the index
def test_a_kill_amid_the_writing_is_as_if_nothing_had_been_written(one, killed):
    process = start(one, killed)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not list((one / "shards").glob("*/shards.json"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = opened(one)
    same_answers(found, in_memory(found))
    (home,) = kept(one)
    assert not [p for p in home.iterdir() if p.name.startswith(".")], "a half-written file is left"


def test_two_that_open_it_at_once_make_it_once_and_answer_alike(one):
    processes = [start(one, 0) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], told
    lines = [line for out, _ in told for line in out.splitlines()]
    assert len([line for line in lines if "opened for the first time" in line]) == 1
    answers = {line for line in lines if line.startswith("answer")}
    query = opened(one).places.observation(5)
    assert answers == {f"answer {[(m.id, m.score) for m in opened(one).rank(query, 5).matches]}"}


def test_what_one_process_has_made_another_opens(one, monkeypatch):
    process = start(one, -1)
    process.communicate(timeout=60)
    assert process.returncode == 0
    never_made(monkeypatch)
    assert opened(one).rank(queries()[0]).matches
