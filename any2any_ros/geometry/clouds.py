"""The LiDAR scans of a map's places, which refine rankings. They are optional.

MAP/clouds-<hash>/<hash of the id>.npz   the scan of one place, thinned, as int16 centimetres; read when it is needed

Older maps have the folder MAP/clouds (retrieval/map_folder.py).

The scans are in the frame of the map's poses, which is the robot's. A LiDAR's scan must be moved into this frame
(`moved`) before it is added, or registered onto another scan.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from any2any_ros import limits, reading
from any2any_ros.arrays import Float64, Floats
from any2any_ros.errors import Any2AnyError
from any2any_ros.files import write_atomically
from any2any_ros.geometry.registration import PreparedScan, RegistrationConfig, thinned

LIDAR = "lidar"  # the modality whose samples are scans
CENTIMETRE = 0.01
IN_MEMORY = 64  # scans, half a megabyte each


class Clouds:
    """The scans of a map's places, one small file each. A place may have none."""

    def __init__(self, folder: Path | None, config: RegistrationConfig = RegistrationConfig()) -> None:
        """folder: of the scans; None: there are none."""
        self.folder, self.config = folder, config
        self._scan = lru_cache(IN_MEMORY)(partial(_read, folder, config))

    def __bool__(self) -> bool:
        return self.folder is not None and self.folder.is_dir()

    def __len__(self) -> int:
        return len(list(self.folder.glob("*.npz"))) if self.folder is not None else 0

    def __contains__(self, id: str) -> bool:
        return self.folder is not None and self._file(id).exists()

    def add(self, id: str, points: Floats) -> None:
        """Write the scan (N, >= 3) of place `id`, over an older one: x forward, y left, z up; metres; robot's frame.

        Raises Any2AnyError when the points have another shape or are too many, and when the file cannot be written.
        """
        thin = thinned(points, self.config.voxel, self.config.reach)
        limits.check("a scan", len(thin), limits.SCAN_POINTS, "points after thinning", "Raise voxel, or lower reach")
        centimetres = np.round(thin / CENTIMETRE).astype(np.int16)
        stream = io.BytesIO()
        np.savez_compressed(stream, id=np.array(id), points=centimetres)
        try:
            write_atomically(self._file(id), lambda s: s.write(stream.getvalue()))
        except OSError as error:
            raise Any2AnyError(
                f"Cannot write a scan to {self.folder}", str(error), "Choose a folder that can be written to"
            ) from error
        self._scan.cache_clear()

    def scan(self, id: str) -> PreparedScan | None:
        """Return the scan of place `id`; None when there is none. Raises Any2AnyError when it is damaged."""
        return self._scan(id)

    def _file(self, id: str) -> Path:
        assert self.folder is not None
        return _file(self.folder, id)


def _file(folder: Path, id: str) -> Path:
    # An id may hold characters that a file name cannot.
    return folder / f"{hashlib.sha256(id.encode()).hexdigest()[:32]}.npz"


def _read(folder: Path | None, config: RegistrationConfig, id: str) -> PreparedScan | None:
    if folder is None or not (file := _file(folder, id)).exists():
        return None
    try:
        stored = reading.arrays(file)
        name, points = str(stored["id"]), stored["points"]
        if name != id or points.dtype != np.int16 or points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"it holds {points.dtype} {points.shape} of place '{name}'")
    except FileNotFoundError:  # another map was saved here meanwhile
        return None
    except Exception as error:  # any damage reads the same to a user
        raise Any2AnyError(
            f"Cannot read the scan of place '{id}', {file}",
            f"{type(error).__name__}: {error}",
            "Build the map again, or delete the file: rankings are then refined without this place",
        ) from error
    return PreparedScan.of(points * CENTIMETRE, config)


def write(folder: Path, scans: Iterable[tuple[str, Floats]]) -> int:
    """Write the scans (id, points) of a map's places to a folder; return how many."""
    clouds, count = Clouds(folder), 0
    for count, (id, points) in enumerate(scans, 1):  # noqa: B007 - the count is what is returned
        clouds.add(id, points)
    return count


def mounting(text: str) -> Float64:
    """Return the pose (4, 4) of a text "x y z roll pitch yaw" (metres, radians); raise Any2AnyError on other text."""
    from scipy.spatial.transform import Rotation

    try:
        x, y, z, roll, pitch, yaw = (float(word) for word in text.split())
        if not np.isfinite([x, y, z, roll, pitch, yaw]).all():
            raise ValueError("a number is not finite")
    except ValueError as error:
        raise Any2AnyError(
            f"'{text}' is no mounting", str(error), "Give six numbers: x y z in metres, roll pitch yaw in radians"
        ) from error
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()
    pose[:3, 3] = x, y, z
    return pose


def mounting_text(pose: Float64) -> str:
    """Return the text of a pose (4, 4) that `mounting` reads, to a tenth of a millimetre."""
    from scipy.spatial.transform import Rotation

    yaw, pitch, roll = Rotation.from_matrix(pose[:3, :3]).as_euler("ZYX")
    return " ".join(f"{number + 0.0:g}" for number in np.round([*pose[:3, 3], roll, pitch, yaw], 4))


def moved(points: Floats, pose: Float64) -> Float64:
    """Return the points (N, 3) of a sensor, moved into the robot's frame; pose (4, 4): of the sensor in this frame."""
    return np.asarray(np.asarray(points)[:, :3] @ pose[:3, :3].T + pose[:3, 3])
