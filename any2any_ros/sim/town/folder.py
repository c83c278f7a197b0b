"""Writes the simulated town as a KITTI odometry folder, which is read like a recorded one.

sequences/00, sequences/01   one lap each: velodyne/*.bin, image_2/*.png, calib.txt, times.txt, and beyond
                             KITTI captions.txt (a line for each frame) and audio.wav (8 kHz, mono, from 0 s);
                             on request thermal/*.png (16 bits, hundredths of a kelvin)
poses/00.txt, poses/01.txt   camera poses of both laps in the first camera frame of lap 00
town.json                    settings; conditions of each lap; street, block and direction of each frame
"""

from __future__ import annotations

import functools
import wave
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from any2any_ros import extras, storage
from any2any_ros.arrays import Float64
from any2any_ros.sim.simulated import mapper, reusable, story_head, write_picture
from any2any_ros.sim.town.camera import CAMERA_FROM_LIDAR, CAMERAS, Camera, projection
from any2any_ros.sim.town.lidar import Lidar
from any2any_ros.sim.town.route import Lap, corners, drive, streets
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.sound import RATE, record
from any2any_ros.sim.town.thermal import ThermalCamera
from any2any_ros.sim.town.words import caption, look_around
from any2any_ros.sim.town.world import World, build_world
from any2any_ros.storage import replacing

__all__ = ["LAPS", "TownConfig", "write"]

KIND = "town"
FORMAT = 1  # changes whenever the same settings give other files
LAPS = (0, 1)
THERMAL = "thermal"  # folder of the thermal pictures
CHUNK = 4  # frames that a worker gets at once


def write(
    folder: Path,
    config: TownConfig,
    *,
    workers: int = 2,
    progress: bool = True,
    overwrite: bool = False,
    thermal: bool = False,
) -> Path:
    """Write the town of `config` to `folder` and return the folder. A town of these settings that is there stays.

    The same settings give the same bytes for any number of workers. An interrupted write leaves nothing. workers:
    processes. overwrite: replace a town of other settings. thermal: also record a thermal camera; the other files stay
    the same. Raises Any2AnyError when something else is in the folder, and when the extra `sim` is not installed.
    """
    folder = Path(folder).absolute()
    head = _head(config, thermal)
    if reusable(folder, KIND, head, overwrite):
        return folder
    extras.require("sim", "simulate a town")
    with replacing(folder) as unfinished:
        for lap in LAPS:
            _write_lap_files(unfinished, config, lap)
            if thermal:
                (_sequence(unfinished, lap) / THERMAL).mkdir()
        captions = _run(unfinished, config, workers, progress)
        for lap in LAPS:
            lines = captions[lap * config.places : (lap + 1) * config.places]
            text = "".join(f"{line}\n" for line in lines)
            (_sequence(unfinished, lap) / "captions.txt").write_text(text, "utf-8")
        storage.write_json(unfinished / f"{KIND}.json", head | _story(config))
    return folder


def _head(config: TownConfig, thermal: bool) -> dict[str, Any]:
    """Return what two towns have in common when they are the same."""
    return story_head(FORMAT, config) | ({"thermal": True} if thermal else {})


def _sequence(folder: Path, lap: int) -> Path:
    return folder / "sequences" / f"{lap:02d}"


def _write_lap_files(folder: Path, config: TownConfig, lap: int) -> None:
    """Write the files of a lap that are not of one frame: calibration, times, poses."""
    for name in ("velodyne", "image_2"):
        (_sequence(folder, lap) / name).mkdir(parents=True)
    (folder / "poses").mkdir(exist_ok=True)
    way = drive(config, lap)
    np.savetxt(_sequence(folder, lap) / "times.txt", way.times, fmt="%.6e")
    np.savetxt(folder / "poses" / f"{lap:02d}.txt", camera_poses(config, way).reshape(-1, 12), fmt="%.9e")
    matrices = {f"P{i}": projection(config, i) for i in range(len(CAMERAS))} | {"Tr": CAMERA_FROM_LIDAR[:3]}
    lines = (f"{name}: {' '.join(f'{v:.12e}' for v in m.ravel())}\n" for name, m in matrices.items())
    (_sequence(folder, lap) / "calib.txt").write_text("".join(lines), "utf-8")


def camera_poses(config: TownConfig, way: Lap) -> Float64:
    """Return the poses (P, 3, 4) of camera 0, in its first frame of lap 00."""
    lidar_from_camera = np.linalg.inv(CAMERA_FROM_LIDAR)
    origin = drive(config, 0).poses[0] @ lidar_from_camera
    return np.asarray((np.linalg.inv(origin) @ way.poses @ lidar_from_camera)[:, :3])


def _run(folder: Path, config: TownConfig, workers: int, progress: bool) -> list[str]:
    """Record the sound and all frames, here or in worker processes. Return the captions, lap after lap."""
    frames = [(folder, config, lap, frame) for lap in LAPS for frame in range(config.places)]
    captions = []
    total = len(LAPS) + len(frames)
    with mapper(workers) as do, tqdm(total=total, unit="frame", disable=not progress) as bar:
        bar.set_description("recording the sound")
        for _ in do(_write_sound, [(folder, config, lap) for lap in LAPS], chunksize=1):
            bar.update()
        for (_, _, lap, _), text in zip(frames, do(_write_frame, frames, chunksize=CHUNK), strict=True):
            bar.set_description(f"driving lap {lap:02d}", refresh=False)
            bar.update()
            captions.append(text)
    return captions


@functools.lru_cache(maxsize=2)
def _world(config: TownConfig, lap: int) -> tuple[World, Lidar, Camera, ThermalCamera]:
    """Build the world and the sensors of a lap, once in each process."""
    world = build_world(config, lap)
    lidar = Lidar(config, world.scene, world.condition.wet)
    return world, lidar, Camera(config, world.scene, world.condition), ThermalCamera(config, world, lap)


def _write_frame(job: tuple[Path, TownConfig, int, int]) -> str:
    """Write one scan, one picture, and a thermal picture if its folder exists. Return the caption."""
    folder, config, lap, frame = job
    world, lidar, camera, thermal = _world(config, lap)
    pose = world.lap.poses[frame]
    draws = (np.random.default_rng([config.seed, k, lap, frame]) for k in (10, 11, 12, 15))
    scan_rng, picture_rng, words_rng, thermal_rng = draws
    lidar.scan(pose, scan_rng).tofile(_sequence(folder, lap) / "velodyne" / f"{frame:06d}.bin")
    picture = _sequence(folder, lap) / "image_2" / f"{frame:06d}.png"
    write_picture(picture, camera.shoot(pose, picture_rng))
    if (_sequence(folder, lap) / THERMAL).is_dir():
        write_picture(_sequence(folder, lap) / THERMAL / f"{frame:06d}.png", thermal.shoot(pose, thermal_rng))
    return caption(look_around(world.scene, world.things, pose), config, lap, words_rng)


def _write_sound(job: tuple[Path, TownConfig, int]) -> str:
    """Write the sound of one lap. Return "", as a job must return a text."""
    folder, config, lap = job
    with wave.open(str(_sequence(folder, lap) / "audio.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(record(config, _world(config, lap)[0], lap).astype("<i2").tobytes())
    return ""


def _story(config: TownConfig) -> dict[str, Any]:
    """Return the content of town.json beside the settings: conditions, and where each frame was taken."""
    network = streets(corners(config))
    laps = {}
    for lap, conditions in zip(LAPS, (config.first_lap, config.second_lap), strict=True):
        way = drive(config, lap)
        laps[f"{lap:02d}"] = {
            "condition": conditions,
            "square": [network[i].square for i in way.street],
            "street": [network[i].name for i in way.street],
            "opposite": way.opposite.tolist(),
            "metres_to_shared_corner": way.corner.round(2).tolist(),
        }
    return {
        "reversed_squares": list(config.reversed_squares),
        "calibration_squares": list(range(config.squares))[: config.calibration_squares],
        "test_squares": list(range(config.squares))[config.calibration_squares :],
        "laps": laps,
    }
