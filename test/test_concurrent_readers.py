"""A reader that looks while a writer saves over and over never fails, and never sees a mixture of two saves."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import sightings
import writers
import written_maps as maps

from any2any_ros import storage
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.objects.object_memory import ObjectMemory
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.map_folder import SCANS
from any2any_ros.retrieval.retriever import Retriever

HELPERS = Path(__file__).parent / "helpers"
SAVES = 150
RARELY = 6  # the other writers save once in so many rounds
WRITING = """
import sys
from pathlib import Path
import written_maps as maps
home, often, rarely = Path(sys.argv[1]), sys.argv[2].split(), sys.argv[3].split()
for number in range(int(sys.argv[4])):
    for name in often + rarely * (number % int(sys.argv[5]) == 0):
        getattr(maps, name)(home / name, number % 2 if name in often else number // int(sys.argv[5]) % 2)
"""


def of_scans(folder):
    """Return which map this is, and the centres of its scans; None where another map has replaced it by now."""
    opened = reference_map.load(folder)
    (number,) = (n for n in (0, 1) if opened.places.ids == maps.reference(n).places.ids)
    scans = Clouds(opened.part(SCANS, folder))
    found = (scans.scan(name) for name, _ in maps.scans(number))
    return number, *(None if scan is None else scan.points.mean(axis=0).tolist() for scan in found)


def fits(seen, expected):
    return seen == expected or (
        isinstance(seen, tuple) and all(a is None or a == b for a, b in zip(seen, expected, strict=True))
    )


def of_calibration(folder):
    one = calibration.load(folder / "map")
    return (
        storage.fingerprint(one.fusion),
        storage.fingerprint(one.confidence),
        *map(storage.fingerprint, one.drift.values()),
    )


def of_objects(folder):
    return len(ObjectMemory.load(folder / "objects", sightings.ENCODERS).everything)


def of_model(folder):
    return writers.of_model(folder / "model")


def of_adopted(folder):
    return writers.of_map(folder / "map")


OFTEN = {"write_map_with_scans": lambda folder: of_scans(folder / "map"), "write_calibration": of_calibration}
RARE = {
    "write_state": writers.of_state, "write_adopted": of_adopted, "write_model": of_model, "save_objects": of_objects,
    "save_elsewhere": lambda folder: (*of_scans(folder / "map"), Retriever.open(folder / "map").confidence is not None),
}  # fmt: skip


def test_nobody_sees_a_mixture(tmp_path):
    readers, expected = OFTEN | RARE, {}
    for name, read in readers.items():
        maps.write_map(tmp_path / name, 0)
        for number in (1, 0):
            getattr(maps, name)(tmp_path / name, number)
            expected.setdefault(name, []).append(read(tmp_path / name))
    assert all(one != other for one, other in expected.values())
    ours = {**os.environ, "PYTHONPATH": f"{HELPERS}:{HELPERS.parents[1]}"}
    arguments = [str(tmp_path), " ".join(OFTEN), " ".join(RARE), str(SAVES), str(RARELY)]
    with subprocess.Popen([sys.executable, "-c", WRITING, *arguments], env=ours) as process:
        try:
            seen = {name: [] for name in readers}
            while process.poll() is None:
                for name in [*OFTEN, *OFTEN, *RARE]:
                    seen[name].append(readers[name](tmp_path / name))
        finally:
            process.kill()
    assert process.returncode == 0
    for name, contents in seen.items():
        assert all(any(fits(content, known) for known in expected[name]) for content in contents), name
        assert all(known in contents for known in expected[name]), f"{name} was not seen to change"


def test_two_that_save_the_same_map_leave_a_whole_one(tmp_path):
    def save(number):
        for _ in range(15):
            maps.write_map_with_scans(tmp_path, number)

    threads = [threading.Thread(target=save, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _, *scans = of_scans(tmp_path / "map")
    assert None not in scans
    assert len(list((tmp_path / "map").iterdir())) == 3  # the header, the places, the scans
