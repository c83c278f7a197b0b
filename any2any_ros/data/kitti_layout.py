"""Where the files of a drive lie: in KITTI's layouts, and in others whose folders look like them.

sequences/00/velodyne/000000.bin                      KITTI odometry; SemanticKITTI, with poses.txt beside the scans
2011_09_26/2011_09_26_drive_0001_sync/image_02/data   raw drives, and the folder of their date
data_3d_raw/DRIVE/velodyne_points/data                KITTI-360, with data_2d_raw and data_poses beside it
Ouster/1561000444390857630.bin                        MulRan, Oxford RobotCar, EuRoC: named by the time, not a number
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from any2any_ros.arrays import Int64
from any2any_ros.config import AliveConfig
from any2any_ros.data.drive import LATEST
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

Files = dict[str, dict[str, Path]]  # modality -> frame -> file
CLOUDS = ("velodyne", "velodyne_points/data", "Ouster", "sensor_data/Ouster", "velodyne_left")
PICTURES = (
    "image_2", "image_3", "image_0", "image_1", "image_02/data", "image_03/data", "image_00/data", "image_01/data",
    "image_02", "image_00/data_rect", "image_01/data_rect", "cam0/data", "mav0/cam0/data",
)  # fmt: skip
THERMAL = ("thermal", "thermal/data")
ENDINGS = {"lidar": (".bin",), "camera": (".png", ".jpg"), "thermal": (".png",)}
FOLDERS = {"lidar": CLOUDS, "camera": PICTURES, "thermal": THERMAL}
NUMBER = re.compile(r"[0-9]{1,10}|[0-9]{13}|[0-9]{16}|[0-9]{19}")  # the name of a frame's file, without its ending
UNITS = {13: 1_000_000, 16: 1_000, 19: 1}  # digits of a name that is a time since 1970 -> ns in its unit
GROUPS = ("sequences", "data_3d_raw", "data_2d_raw", ".")  # folders that hold drives
SCANS_360, PICTURES_360 = "data_3d_raw", "data_2d_raw"
SHOWN = 10  # names of a folder that holds no drive, which the error shows


def drives(root: Path) -> tuple[str, ...]:
    """Return the names of the drives in a folder of several; () for a folder that is one drive."""
    inside = (folder for group in GROUPS for folder in (root / group).glob("*") if folder.is_dir())
    return tuple(sorted({folder.name for folder in inside if any(files_of(folder).values())}))


def home_of(root: Path, sequence: str | None) -> Path:
    """Return the folder of a drive: of the named one in `root`, else `root` itself or the only drive in it.

    Raises Any2AnyError when there is none, and when there are several.
    """
    if sequence is None and any(files_of(root).values()):
        return root
    if sequence is not None and Path(sequence).name == sequence:
        for group in GROUPS:
            if any(files_of(root / group / sequence).values()):
                return root / group / sequence
    known = drives(root)
    if sequence is None and len(known) == 1:
        return home_of(root, known[0])
    hint = f"Choose a sequence: {', '.join(known)}" if known else "Check the path"
    folder = root / GROUPS[0] / sequence if sequence else root
    names = sorted(p.name for p in root.iterdir())
    has = f"{', '.join(names[:SHOWN])}{', ...' if names[SHOWN:] else ''}" if names else "nothing"
    why = (
        f"no {CLOUDS[0]}/*.bin nor {PICTURES[0]}/*.png in it (or in the folders of the other layouts); {root} has {has}"
    )
    raise Any2AnyError(f"{folder} is no KITTI drive", why, hint)


def files_of(home: Path) -> Files:
    """Return the files of each sensor, by frame. Sensors whose files are named by their time share the frames of the
    first, and have none where theirs is not near."""
    homes = [home]
    if home.parent.name in (SCANS_360, PICTURES_360):
        homes += [home.parents[1] / other / home.name for other in (SCANS_360, PICTURES_360)]
    files = {m: _listed([h / name for h in homes for name in FOLDERS[m]], ENDINGS[m]) for m in FOLDERS}
    first = next((m for m in files if files[m]), "")
    if first and is_time(next(iter(files[first]))):
        return {m: one if m == first else _aligned(one, files[first]) for m, one in files.items()}
    return {m: {frame: file for frame, file in one.items() if not is_time(frame)} for m, one in files.items()}


def is_time(frame: str) -> bool:
    """Return whether the name of a frame is a time, not a number."""
    return len(frame) in UNITS


def times(frames: Iterable[str]) -> Int64:
    """Return the times (N,), ns since 1970, of frames that are named by them.

    Raises Any2AnyError for a time that no ROS message can have.
    """
    stamps = [int(frame) * UNITS[len(frame)] for frame in frames]
    if stamps and max(stamps) >= LATEST * NS:
        raise Any2AnyError("Cannot use a drive", f"a file is named by the time {max(stamps)} ns", "Rename its files")
    return np.array(stamps, dtype=np.int64)


def _listed(folders: Iterable[Path], endings: tuple[str, ...]) -> dict[str, Path]:
    """Return frame -> file of the first of `folders` that holds files with these endings."""
    for folder in folders:
        files = {p.stem: p for p in folder.glob("*") if p.suffix in endings and NUMBER.fullmatch(p.stem)}
        if files:
            return files
    return {}


def _aligned(files: Mapping[str, Path], frames: Mapping[str, Path]) -> dict[str, Path]:
    """Return, for those of `frames` that have one, the file whose time is nearest."""
    named = sorted((f for f in files if is_time(f)), key=lambda f: int(times([f])[0]))
    if not named:
        return {}
    have, wanted = times(named), times(frames)
    after = np.searchsorted(have, wanted).clip(1, max(1, len(have) - 1))
    near = np.where(wanted - have[after - 1] <= have[after.clip(max=len(have) - 1)] - wanted, after - 1, after)
    near = near.clip(max=len(have) - 1)
    close = np.abs(have[near] - wanted) <= AliveConfig.slop * NS
    return {frame: files[named[i]] for frame, i, c in zip(frames, near, close, strict=True) if c}
