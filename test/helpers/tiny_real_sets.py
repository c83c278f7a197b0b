"""Tiny folders in the layouts of the real data that benchmarks/real.py reads. What they show is made up."""

from __future__ import annotations

import wave

import cv2
import numpy as np

from any2any_ros.data import carmen

SIDE = 151  # pixels of a bird's-eye image, 0.4 m each


def ring(count, laps=2, radius=20.0):
    """Return poses (count, 4, 4) on a ring that is driven `laps` times, heading along it."""
    turn = np.linspace(0, 2 * np.pi * laps, count, endpoint=False)
    poses = np.tile(np.eye(4), (count, 1, 1))
    heading = turn + np.pi / 2
    poses[:, 0, 0] = poses[:, 1, 1] = np.cos(heading)
    poses[:, 1, 0], poses[:, 0, 1] = np.sin(heading), -np.sin(heading)
    poses[:, 0, 3], poses[:, 1, 3] = radius * np.cos(turn), radius * np.sin(turn)
    return poses


def posts(count=200, seed=0):
    """Return where posts stand (count, 2), in metres."""
    return np.random.default_rng(seed).uniform(-45, 45, (count, 2))


def kitti_bev(folder, poses, sequence="ring"):
    """Write bird's-eye images of posts: 3 to 9 points in the cell of each, of 10 that make a cell white."""
    images = np.zeros((len(poses), SIDE, SIDE), dtype=np.uint8)
    stand = np.column_stack([posts(), np.zeros(200), np.ones(200)])
    for image, pose in zip(images, poses, strict=True):
        x, y = (np.linalg.inv(pose) @ stand.T)[:2]
        row, column = (np.round(SIDE // 2 - v / 0.4).astype(int) for v in (x, y))
        seen = (row >= 13) & (row < SIDE - 13) & (column >= 13) & (column < SIDE - 13)
        image[row[seen], column[seen]] = (255 * (3 + np.arange(200)[seen] % 7) / 10).astype(np.uint8)
    home = folder / "kitti_bev" / sequence
    home.mkdir(parents=True)
    np.savez_compressed(home / "bev.npz", bev=images)
    np.savetxt(home / "pose.txt", poses[:, :3].reshape(-1, 12))
    return home


def laser_log(folder, poses, name="ring"):
    """Write a log of 180 beams that the posts, 2 m thick, return."""
    folder.mkdir(parents=True, exist_ok=True)
    bearing = np.radians(np.arange(180) - 90)
    lines = ["# message formats defined: FLASER"]
    for i, pose in enumerate(poses):
        away = (posts() - pose[:2, 3]) @ pose[:2, :2]
        distance, at = np.hypot(*away.T), np.arctan2(away[:, 1], away[:, 0])
        hit = np.abs(np.angle(np.exp(1j * (bearing[:, None] - at)))) < np.arctan2(1.0, distance)
        ranges = np.where(hit, distance, 81.0).min(axis=1)
        x, y, heading = pose[0, 3], pose[1, 3], np.arctan2(pose[1, 0], pose[0, 0])
        numbers = " ".join(f"{v:.3f}" for v in ranges)
        place = f"{x:.4f} {y:.4f} {heading:.5f}"
        lines.append(f"FLASER 180 {numbers} {place} {place} {i * 0.2:.2f} host {i * 0.2:.2f}")
    path = folder / f"{name}-corrected.log"
    path.write_text("\n".join(lines) + "\n")
    assert len(carmen.read(path)) == len(poses)
    return path


def scene(number, seed=0):
    """Return a picture (48, 64, 3) uint8 of one place, with noise of its own for each seed."""
    blocks = np.random.default_rng(1000 + number).integers(0, 256, (6, 8, 3))
    noise = np.random.default_rng((number, seed)).normal(0, 6, (48, 64, 3))
    return np.clip(np.kron(blocks, np.ones((8, 8, 1))) + noise, 0, 255).astype(np.uint8)


def picture_pairs(folder, count=12, name="pairs"):
    """Write pictures of the same places: query/N.png and ref/N.png, N from 0 without zeros before it."""
    for seed, part in enumerate(("query", "ref")):
        (folder / name / part).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / name / part / f"{number}.png"), scene(number, seed))
    return folder / name


def nordland(folder, count=12):
    """Write two films of the same places."""
    (folder / "films").mkdir(parents=True)
    for seed, season in enumerate(("summer", "winter")):
        film = np.array([scene(number, seed) for number in range(count)])
        np.savez_compressed(folder / "films" / f"{season}.npz", bgr=film)
    return folder / "films"


def sevenscenes(folder, count=32):
    """Write a camera that goes half a metre there and back, twice: 0, 0.05, ... m, and the same again."""
    home = folder / "room"
    (home / "frames").mkdir(parents=True)
    np.savetxt(home / "camera-intrinsics.txt", [[60, 0, 32], [0, 60, 24], [0, 0, 1]])
    for i in range(count):
        at = i % (count // 2)
        pose = np.eye(4)
        pose[0, 3] = 0.05 * at
        depth = np.full((48, 64), 1000 + 40 * at, dtype=np.uint16)
        depth[:4], depth[20:30, 20:40] = 65535, 700
        stem = str(home / "frames" / f"frame-{i:06d}")
        cv2.imwrite(f"{stem}.color.jpg", scene(at, i))
        cv2.imwrite(f"{stem}.depth.png", depth)
        np.savetxt(f"{stem}.pose.txt", pose)
    return home


def iasm_audio(folder, count=24):
    """Write a robot that makes half of its stops twice; each stop has a tone of its own."""
    home = folder / "arrangement"
    (home / "audio").mkdir(parents=True)
    lines = ["file,x_m,y_m,theta_deg"]
    for i in range(count):
        stop = i % (count // 2)
        time = np.arange(24_000) / 16_000
        tone = np.sin(2 * np.pi * (200 + 150 * stop) * time) + 0.1 * np.random.default_rng(i).normal(size=len(time))
        with wave.open(str(home / "audio" / f"sub{i:02d}.wav"), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(16_000)
            file.writeframes((8000 * tone).astype("<i2").tobytes())
        lines.append(f"sub{i:02d}.wav,{stop * 2.0},0.1,{90 + i}")
    (home / "poses.csv").write_text("\n".join(lines) + "\n")
    return home
