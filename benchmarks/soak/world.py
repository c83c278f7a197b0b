"""What a run needs on disk: a simulated town, two good maps of it, and damaged ones. It is made once and stays."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from any2any_ros.data import kitti, splits
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.retrieval import reference_map
from any2any_ros.sim import town
from any2any_ros.storage import replacing
from any2any_ros.workflows.build_map import MapOptions, write_map
from any2any_ros.workflows.calibrate import CalibrationOptions, calibrate

TOWN = town.TownConfig(
    places=60, squares=2, speed=34.0, rate=10.0, points=6000, width=208, height=64, caption_empty=0.0
)
MAPS = {"map": MapOptions("soak", keyframe=0.0), "other": MapOptions("other", keyframe=6.0)}

MAY_OPEN = ("zero_poses",)  # broken maps that may be opened: their answers have no pose


@dataclass(frozen=True)
class World:
    """The folders of a run: `map` and `other` are good maps of one town; `broken` are damaged ones."""

    folder: Path

    @property
    def map(self) -> Path:
        return self.folder / "map"

    @property
    def other(self) -> Path:
        return self.folder / "other"

    @property
    def broken(self) -> tuple[Path, ...]:
        return tuple(self.folder / "broken" / name for name in DAMAGE)

    @property
    def scratch(self) -> Path:
        """For what a run writes."""
        return self.folder.with_name("scratch")

    @functools.cached_property
    def drive(self) -> kitti.KittiDrive:
        """The second lap: what the robot sees."""
        return kitti.read(self.folder / "town", "01")

    def right_places(self) -> list[frozenset[str]]:
        """Return the ids of the map's places that are right for each frame of the drive."""
        places = reference_map.load(self.map).places
        right = splits.positives(self.drive.poses, places.poses, ON_ROADS.hit_radius)
        return [frozenset(places.ids[int(i)] for i in np.flatnonzero(row)) for row in right]


def make(folder: Path, tell: Callable[[str], None] = print) -> World:
    """Return the world in `folder`; make it when it is not there."""
    world = World(folder)
    if not folder.exists():
        tell(f"{folder}: simulating a town and mapping it, once (some 15 s)")
        with replacing(folder) as unfinished:
            _make(World(unfinished))
    return world


def _make(world: World) -> None:
    town.write(world.folder / "town", TOWN, progress=False)
    first, second = (DriveSource(kitti.read(world.folder / "town", lap), ON_ROADS) for lap in ("00", "01"))
    place = replace(ON_ROADS, keyframe=0.0)
    for name, options in MAPS.items():
        write_map(first, world.folder / name, options=options)
        calibrate(world.folder / name, second, CalibrationOptions(place))
    for name, damage in DAMAGE.items():
        copy = world.folder / "broken" / name
        shutil.copytree(world.map, copy)
        damage(copy)


def _places(folder: Path) -> Path:
    return folder / str(json.loads((folder / "map.json").read_text())["places"])


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _cut(folder: Path) -> None:
    data = _places(folder).read_bytes()
    _places(folder).write_bytes(data[: len(data) // 2])


def _flipped(folder: Path) -> None:
    data = bytearray(_places(folder).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(255 - b for b in data[middle : middle + 64])
    _places(folder).write_bytes(data)


def _no_json(folder: Path) -> None:
    (folder / "map.json").write_text("{")


def _changed(folder: Path, **columns: Callable[[np.ndarray], np.ndarray]) -> None:
    """Store the places with some arrays changed, as another program might."""
    with np.load(_places(folder), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name, change in columns.items():
        arrays[name.replace("__", "/")] = change(arrays[name.replace("__", "/")])
    np.savez(_places(folder).with_suffix(""), **arrays)


def _ids_of_bytes(folder: Path) -> None:
    _changed(folder, ids=lambda ids: ids.astype("S"))


def _zero_poses(folder: Path) -> None:
    _changed(folder, poses=np.zeros_like)


def _nan_vectors(folder: Path) -> None:
    _changed(folder, embedding__camera=lambda v: np.where(np.arange(v.shape[1]) == 3, np.nan, v).astype(np.float32))


def _no_confidence(folder: Path) -> None:
    (folder / "calibration" / "confidence.npz").write_bytes(b"")


def _no_fusion(folder: Path) -> None:
    (folder / "calibration" / "fusion.json").write_text('{"format": 2, "kind": "fusion", "plug": "os", "values": {}}')


def _frame_is_a_number(folder: Path) -> None:
    header = json.loads((folder / "map.json").read_text())
    (folder / "map.json").write_text(json.dumps(header | {"frame_id": 7}))


DAMAGE: dict[str, Callable[[Path], None]] = {
    "empty": _empty, "cut": _cut, "flipped": _flipped, "no_json": _no_json, "ids_of_bytes": _ids_of_bytes,
    "zero_poses": _zero_poses, "nan_vectors": _nan_vectors, "no_confidence": _no_confidence, "no_fusion": _no_fusion,
    "frame_is_a_number": _frame_is_a_number,
}  # fmt: skip
