"""A table, and commands about its things, for the tests of the demo of objects."""

import numpy as np

from any2any_ros.demo.objects_commands import Act, Command
from any2any_ros.demo.objects_live import Exchange, PlayedAct
from any2any_ros.ranking import Match, Ranking
from any2any_ros.sim.tabletop import CameraConfig, SceneConfig, TabletopConfig, scene

TABLE_OBJECTS = TabletopConfig(seed=100)
TABLE = scene(0, TABLE_OBJECTS, SceneConfig(frames=3, sweep=20), CameraConfig(width=160, height=120, focal=131))
NAMES = [t.instance for t in TABLE.things]
SHIFT = 0.02  # m, by which every remembered box of the recorded story is off


def box(thing, shift=0.0):
    return thing.low + [shift, 0, 0], thing.high + [shift, 0, 0]


def ranking(*probabilities, first=0):
    """Rank things from `first` on, where the boxes of the story say that they are."""
    matches = []
    for i, p in enumerate(probabilities):
        thing, pose = TABLE.things[(first + i) % len(NAMES)], np.eye(4)
        pose[:3, 3] = (thing.low + thing.high) / 2 + [SHIFT, 0, 0]
        matches.append(Match(f"object-{(first + i) % len(NAMES)}", p, 0.0, pose, np.zeros((0, 0), np.float32)))
    return Ranking(tuple(matches), (), (), False, (), 1, False, (), ())


def recorded(folder):
    """Return two acts of a story whose sounds lie in a folder."""
    wav = folder / "0.wav"
    wav.write_bytes(b"RIFF")
    boxes = {f"object-{i}": box(t, SHIFT) for i, t in enumerate(TABLE.things[:-1])}
    boxes["object-50"] = (np.array([2.0, 1.0, 1.2]), np.array([2.1, 1.1, 1.3]))
    said = (
        Exchange(
            Command("the <b>first</b>", False, (NAMES[0],)), "OK", "It is that", "the first", ranking(0.9, 0.1), 0.5
        ),
        Exchange(Command("the second", True, (NAMES[1],)), "OK", "It is this", "the sec", ranking(0.8, 0.2), 2.0, wav),
        Exchange(Command("no such", False, ()), "NOT_FOUND", "I see none", "no such", ranking(np.nan, np.nan), 0.7),
        Exchange(Command("mumble", True, (NAMES[2],)), "NOT_UNDERSTOOD", "What?", "", ranking(), 3.0, wav),
    )
    one = PlayedAct(Act("Both", ("camera", "depth"), ()), 0, said, boxes, (0.1, 0.3), 0.4)
    two = PlayedAct(Act("Blind", ("depth",), ()), 1, said[:1], {}, (), 1.0)
    return [one, two]
