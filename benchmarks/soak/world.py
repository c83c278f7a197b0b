"""What a run needs on disk: a simulated town, two good maps of it, and damaged ones. It is made once and stays."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from any2any_ros import encoders
from any2any_ros.data import kitti, splits
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.objects import grounding_model
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.heads import EMMA
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.sim import tabletop, town
from any2any_ros.storage import replacing
from any2any_ros.workflows.build_map import MapOptions, write_map
from any2any_ros.workflows.calibrate import CalibrationOptions, calibrate

FORMAT = 3  # changes whenever the world does
TOWN = town.TownConfig(
    places=60, squares=2, speed=34.0, rate=10.0, points=6000, width=208, height=64, caption_empty=0.0
)
TABLE = tabletop.SceneConfig(objects=4, frames=4, sweep=20)
CAMERA = tabletop.CameraConfig(width=320, height=240, focal=262.5)
SENSES = {"camera": "crop", "depth": "depth", "text": "text"}  # of the grounding model: the encoder of each
WIDTH = 16  # of its heads
MAPS = {"map": MapOptions("soak", keyframe=0.0), "other": MapOptions("other", keyframe=6.0)}

MAY_OPEN = ("zero_poses",)  # broken maps that may be opened: their answers have no pose


@dataclass(frozen=True)
class World:
    """The folders of a run.

    map, other: good maps of one town. broken: damaged ones. model: of the grounding node; it has learnt nothing.
    table: file of the pictures of a table.
    """

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
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def table(self) -> Path:
        return self.folder / "table.npz"

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
    """Return the world in `folder`, where it stays for the next run; make it when it is not there."""
    folder = folder / f"world-{FORMAT}"
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
    _save_table(world.table)
    _save_model(world.model)
    for name, damage in DAMAGE.items():
        copy = world.folder / "broken" / name
        shutil.copytree(world.map, copy)
        damage(copy)


def _save_table(path: Path) -> None:
    seen = list(tabletop.scene(3, config=TABLE, camera=CAMERA))
    depth = [np.nan_to_num(1000 * frame.depth).round().astype("<u2") for frame in seen]
    np.savez_compressed(
        path, rgb=np.array([f.rgb for f in seen]), depth=np.array(depth), pose=np.array([f.pose for f in seen]),
        intrinsics=seen[0].intrinsics,
    )  # fmt: skip


def _save_model(folder: Path) -> None:
    rng, built = np.random.default_rng(0), {m: encoders.build(plug) for m, plug in SENSES.items()}
    means = {m: np.zeros(e.dimension, np.float32) for m, e in built.items()}
    spreads = {m: np.ones(e.dimension, np.float32) for m, e in built.items()}
    weights, biases = {}, {}
    for modality, encoder in built.items():
        widths = (encoder.dimension, WIDTH, WIDTH, WIDTH)
        for layer in range(3):
            drawn = rng.normal(size=widths[layer : layer + 2]) / np.sqrt(widths[layer])
            weights[f"{modality}/{layer}"] = drawn.astype(np.float32)
            biases[f"{modality}/{layer}"] = rng.normal(size=widths[layer + 1]).astype(np.float32)
    records = {m: EncoderRecord.of(e) for m, e in built.items()}
    grounding_model.save(Model(EMMA(means, spreads, weights, biases), records), folder)


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
    (folder / "calibration" / "fusion.npz").unlink()
    (folder / "calibration" / "fusion.json").write_text('{"format": 2, "kind": "fusion", "plug": "os", "values": {}}')


def _frame_is_a_number(folder: Path) -> None:
    header = json.loads((folder / "map.json").read_text())
    (folder / "map.json").write_text(json.dumps(header | {"frame_id": 7}))


DAMAGE: dict[str, Callable[[Path], None]] = {
    "empty": _empty, "cut": _cut, "flipped": _flipped, "no_json": _no_json, "ids_of_bytes": _ids_of_bytes,
    "zero_poses": _zero_poses, "nan_vectors": _nan_vectors, "no_confidence": _no_confidence, "no_fusion": _no_fusion,
    "frame_is_a_number": _frame_is_a_number,
}  # fmt: skip
