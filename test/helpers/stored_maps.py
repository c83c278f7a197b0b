"""A small map and its files, for the tests of maps on disk."""

import json

import numpy as np

from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap


def places(n=6, seed=0):
    draw = np.random.default_rng(seed)
    lidar = draw.normal(size=(n, 4)).astype(np.float32)
    lidar[1:2] = np.nan
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, :3, 3] = draw.normal(size=(n, 3)) * 1e5  # float32 would not do
    ids = tuple(f"straße/{i:06d}" for i in range(n))
    return ObservationSet({"lidar": lidar, "text": draw.normal(size=(n, 16))}, poses, ids)


RECORDS = {
    "lidar": EncoderRecord("lidar", "lidar-1-abc", 4, {"rings": 4, "descriptor": "polar"}),
    "text": EncoderRecord("text", "text-1-def", 16, {"bins": 16}),
}


def example(**changes):
    return ReferenceMap(**({"places": places(), "encoders": RECORDS, "name": "town", "frame_id": "odom"} | changes))


def places_file(folder):
    return folder / json.loads((folder / "map.json").read_text())["places"]


def rewrite(folder, **changes):
    header = json.loads((folder / "map.json").read_text()) | changes
    (folder / "map.json").write_text(json.dumps(header))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def resave(folder, **changes):
    """Write the file of places with other arrays; None: without one."""
    with np.load(places_file(folder)) as stored:
        arrays = dict(stored) | changes
    np.savez(places_file(folder), **{name: array for name, array in arrays.items() if array is not None})
