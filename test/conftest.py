"""What several test files use: real data where it is there, and a small drive written as a KITTI folder."""

import importlib.util
import os
import re
import wave
from collections import namedtuple
from dataclasses import asdict
from pathlib import Path

# The tests make many small fits, for which one thread is the fastest; read by the libraries when they are imported.
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import pytest
from hypothesis import settings

# What the helpers assert is explained like what the tests assert.
pytest.register_assert_rewrite(*(path.stem for path in Path(__file__).with_name("helpers").glob("*.py")))
# Two cores are shared with other processes: how long one example takes says nothing.
settings.register_profile("any2any", deadline=None)
settings.load_profile("any2any")

ROOT = Path(__file__).parents[1]
WITH_NODES = re.compile(r"\brclpy\b|\bbench\b|[Bb]ringup")
PLACES, SPACING, PERIOD = 24, 6.0, 0.5  # of the drive below: places on a ring, metres and seconds between them


def pytest_collection_modifyitems(items):
    """Where two processes share the tests (make test), one of them runs all that start nodes, one after the other."""
    files = {item.path for item in items}
    ours = {file for file in files if "nodes" in file.parts or WITH_NODES.search(file.read_text())}
    for item in items:
        if item.path in ours:
            item.add_marker(pytest.mark.xdist_group("nodes"))


def pytest_make_parametrize_id(val):
    """Bytes are named by their length: two processes must find the same names, and content may hold a date."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def _no_module_allowed(monkeypatch):
    """Modules that one test names are not allowed in the next."""
    from any2any_ros import plugins

    monkeypatch.setattr(plugins, "_allowed", set())


@pytest.fixture(scope="session")
def shared_data():
    """The small real data beside the checkout."""
    folder = Path(os.environ.get("ANY2ANY_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no {folder}: real data for tests that need it; set ANY2ANY_DATA to where it is")
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return a function that gives the folder of a tiny network of random weights, by name (networks.py)."""
    for needed in ("torch", "transformers", "tokenizers"):
        pytest.importorskip(needed, reason=f"no {needed}: run `make torch`")
    spec = importlib.util.spec_from_file_location("networks", Path(__file__).with_name("networks.py"))
    networks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(networks)
    made = {}

    def folder(name):
        if name not in made:
            made[name] = networks.save(name, tmp_path_factory.mktemp(name))
        return made[name]

    return folder


@pytest.fixture(scope="session")
def laps(tmp_path_factory):
    """A KITTI odometry folder: 00 and 01 drive one ring of 24 places, 02 drives it twice; every place is distinct.

    The first frame has no sound (times start at 0). In 01, frame 3 has no picture, 5 no scan, 7 no caption.
    """
    root = tmp_path_factory.mktemp("laps") / "ring"
    for sequence, rounds in (("00", 1), ("01", 1), ("02", 2)):
        _write_drive(root, sequence, rounds)
    folder = root / "sequences" / "01"
    (folder / "image_2" / "000003.png").unlink()
    (folder / "velodyne" / "000005.bin").unlink()
    lines = (folder / "captions.txt").read_text().split("\n")
    (folder / "captions.txt").write_text("\n".join("" if i == 7 else line for i, line in enumerate(lines)))
    return root


@pytest.fixture(scope="session")
def make_objects():
    """Return a function that makes views of objects: every modality shows class and instance in a mirror of its own."""

    def make(classes=6, instances=5, views=3, seed=0, modalities=("text", "speech", "camera", "depth"), noise=0.3):
        from any2any_ros.objects.views import ObjectViews

        world, random = np.random.default_rng(0), np.random.default_rng(seed)
        names = [
            (f"thing{c}", f"thing{c}_{i}", f"thing{c}_{i}_{v}")
            for c in range(classes) for i in range(instances) for v in range(views)
        ]  # fmt: skip
        kind, own = world.normal(size=(classes, 4)), 0.3 * world.normal(size=(classes, instances, 4))
        what = np.repeat((kind[:, None] + own).reshape(-1, 4), views, axis=0)
        columns = {}
        for m in modalities:
            seen = np.tanh(what @ world.normal(size=(4, 9))) + noise * random.normal(size=(len(what), 9))
            columns[m] = seen.astype(np.float32)
        kinds, objects, ids = (np.array(column) for column in zip(*names, strict=True))
        records = {m: {"plug": m, "fingerprint": f"{m}-1", "dimension": 9, "settings": {}} for m in modalities}
        return ObjectViews(columns, ids, kinds, objects, records)

    return make


def _write_drive(root, sequence, rounds):
    folder, frames = root / "sequences" / sequence, PLACES * rounds
    for name in ("velodyne", "image_2"):
        (folder / name).mkdir(parents=True)
    (root / "poses").mkdir(exist_ok=True)
    sound, captions, poses = [], [], []
    for frame in range(frames):
        place = frame % PLACES
        own, noise = np.random.default_rng(place), np.random.default_rng([int(sequence), frame])
        _cloud(own, noise).tofile(folder / "velodyne" / f"{frame:06d}.bin")
        cv2.imwrite(str(folder / "image_2" / f"{frame:06d}.png"), _picture(own, noise))
        captions.append("houses {}, {} and {}".format(*own.integers(100, 1000, 3)))
        if frame:  # frame i's sound is heard before it
            sound.append(_hum(own, noise))
        poses.append(
            _camera_pose(2 * np.pi * (frame + 0.02 * int(sequence)) / PLACES)
        )  # no drive repeats another's poses
    np.savetxt(folder / "times.txt", PERIOD * np.arange(frames), fmt="%e")
    np.savetxt(root / "poses" / f"{sequence}.txt", np.reshape(poses, (-1, 12)), fmt="%.12e")
    (folder / "calib.txt").write_text("Tr: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\n")
    (folder / "captions.txt").write_text("\n".join(captions) + "\n")
    with wave.open(str(folder / "audio.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.concatenate(sound).astype("<i2").tobytes())


def _cloud(own, noise):
    pillars = own.uniform([-30, -30, 0.5], [30, 30, 12], (30, 3))
    points = np.repeat(pillars, 12, axis=0)
    points[:, 2] = points[:, 2] * np.tile(np.linspace(0, 1, 12), 30) - 1.7
    points[:, :2] += noise.normal(0, 0.2, (len(points), 2))
    return np.c_[points, noise.random(len(points))].astype(np.float32)


def _picture(own, noise):
    blocks = own.integers(0, 255, (5, 12, 3)).astype(np.uint8)
    pixels = cv2.resize(blocks, (96, 40), interpolation=cv2.INTER_NEAREST)
    return np.clip(pixels + noise.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)


def _hum(own, noise):
    t = np.arange(int(PERIOD * 8000)) / 8000
    pitches = own.uniform(100, 3500, 5)
    return 2000 * np.sin(2 * np.pi * pitches[:, None] * t).sum(axis=0) + noise.normal(0, 300, len(t))


def _camera_pose(angle):
    """Return the camera's pose (3, 4) on the ring: x right, y down, z forward."""
    radius = PLACES * SPACING / (2 * np.pi)
    forward, right = np.array([-np.sin(angle), 0, np.cos(angle)]), np.array([np.cos(angle), 0, np.sin(angle)])
    return np.column_stack([right, [0, 1, 0], forward, radius * right])


@pytest.fixture(scope="session")
def untrained_model(tmp_path_factory):
    """A model's folder whose heads have learnt nothing: crop, depth and text, not calibrated."""
    from any2any_ros import encoders
    from any2any_ros.objects import grounding_model
    from any2any_ros.objects.heads import EMMA
    from any2any_ros.retrieval.map_header import EncoderRecord

    draw, folder = np.random.default_rng(0), tmp_path_factory.mktemp("model")
    made = {m: encoders.build(plug) for m, plug in {"camera": "crop", "depth": "depth", "text": "text"}.items()}
    widths = {m: (e.dimension, 8, 8, 8) for m, e in made.items()}
    heads = EMMA(
        {m: np.zeros(w[0], np.float32) for m, w in widths.items()},
        {m: np.ones(w[0], np.float32) for m, w in widths.items()},
        {f"{m}/{i}": draw.normal(size=w[i : i + 2]).astype(np.float32) for m, w in widths.items() for i in range(3)},
        {f"{m}/{i}": draw.normal(size=w[i + 1]).astype(np.float32) for m, w in widths.items() for i in range(3)},
    )
    records = {m: EncoderRecord(e.plug, e.fingerprint, e.dimension, asdict(e.config)) for m, e in made.items()}
    grounding_model.save(grounding_model.Model(heads, records), folder)
    return folder


# --- the command line, run in this process ---

Done = namedtuple("Done", "code out err")


@pytest.fixture
def any2any(capsys):
    """Return a function that runs a verb and returns its exit code and what it said."""

    def run(*arguments):
        capsys.readouterr()
        from any2any_ros.cli.main import main

        try:
            code = main([str(a) for a in arguments])
        except SystemExit as ended:  # argparse's own way
            code = ended.code
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(any2any):
    """Return a function that runs a verb which must fail with 2 and one line, and returns the line."""

    def run(*arguments):
        done = any2any(*arguments)
        assert done.code == 2 and "Traceback" not in done.err
        assert len(done.err.strip().split("\n")) == 1 and done.err.startswith(f"any2any {arguments[0]}: ")
        return done.err

    return run


@pytest.fixture(scope="session")
def town_map(laps, tmp_path_factory):
    """A map of lap 00 of the ring, calibrated on lap 01."""
    from any2any_ros.cli.main import main

    folder = tmp_path_factory.mktemp("map") / "ring"
    assert main(["build-map", str(laps), str(folder), "--sequence", "00"]) == 0
    assert main(["calibrate", str(folder), str(laps), "--sequence", "01"]) == 0
    return folder
