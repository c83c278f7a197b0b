"""Simulated objects, written as a GoLD folder: no reader can tell it from the recorded one.

images/RGB_cropped/<class>/<class>_<n>/<class>_<n>_<view>.png     crops, 8-bit RGB
images/depth_cropped/...                                          the same crops, 16-bit, mm, 0 = hole
text.tsv, speech.tsv, speech/<class>_<n>_<view>_<k>.wav           written and spoken descriptions
tabletop.json                                                     settings, and what every object really is
"""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from any2any_ros import extras, storage
from any2any_ros.sim.simulated import mapper, reusable, story_head, write_picture
from any2any_ros.sim.tabletop import voices
from any2any_ros.sim.tabletop.catalogue import Body, bodies
from any2any_ros.sim.tabletop.settings import TabletopConfig
from any2any_ros.sim.tabletop.table import Portraits
from any2any_ros.sim.tabletop.words import WRITERS
from any2any_ros.storage import replacing

Do = Callable[..., Iterable[Any]]  # a map over jobs, here or in processes

KIND = "tabletop"
FORMAT = 1  # raised whenever the same settings give other files
CHUNK = 2  # objects' views handed to a worker at once
TEXT = ("hit_id", "worker_id", "worktime_s", "item_id", "text")
SPEECH = ("hit_id", "worker_id", "worktime_s", "item_id", "wav", "transcription")


@dataclass(frozen=True)
class Sentence:
    """One description of one view, by a writer's number; `take`: which of the view's."""

    item: str
    take: int
    writer: int
    text: str
    seconds: int


def write(
    folder: Path, config: TabletopConfig, *, workers: int = 2, progress: bool = True, overwrite: bool = False
) -> Path:
    """Write the objects of `config` to `folder` and return it; a folder with these settings there is kept.

    Without espeak-ng nothing is spoken: speech.tsv has transcriptions, and no sound lies beside it. The same settings
    give the same bytes for any number of workers; an interrupted write leaves nothing.
    """
    folder = Path(folder).absolute()
    spoken = config.utterances > 0 and voices.available()
    head = story_head(FORMAT, config)
    if reusable(folder, KIND, head | ({"spoken": True} if spoken else {}), overwrite or _silent(folder, head)):
        return folder
    extras.require("sim", "simulate objects")
    with replacing(folder) as unfinished, mapper(workers) as do:
        _write_views(unfinished, config, do, progress)
        written, said = _sentences(config, 3, config.descriptions), _sentences(config, 4, config.utterances)
        _table(unfinished / "text.tsv", TEXT, ((s.item, s.text) for s in written), written)
        _table(unfinished / "speech.tsv", SPEECH, ((s.item, f"{s.item}_{s.take}", _heard(s.text)) for s in said), said)
        if spoken:
            _speak(unfinished, config, said, do, progress)
        story = head | {"spoken": spoken, "objects": {b.name: _truth(b) for b in bodies(config)}}
        storage.write_json(unfinished / f"{KIND}.json", story)
    return folder


def _silent(folder: Path, head: dict[str, Any]) -> bool:
    """Return whether this very folder is there, written where nothing could speak: it may be written anew."""
    story = folder / f"{KIND}.json"
    return story.is_file() and json.loads(story.read_text("utf-8")).items() >= (head | {"spoken": False}).items()


def item_id(body: Body, view: int) -> str:
    """Return the name of a view as GoLD writes it: "teddy_bear_3_1"."""
    return f"{body.name}_{view + 1}"


def _write_views(folder: Path, config: TabletopConfig, do: Do, progress: bool) -> None:
    jobs = [(folder, config, row, view) for row in range(len(bodies(config))) for view in range(config.views)]
    with tqdm(total=len(jobs), unit="view", desc="setting the table", disable=not progress) as bar:
        for _ in do(_write_view, jobs, chunksize=CHUNK * config.views):
            bar.update()


@functools.lru_cache(maxsize=1)
def _portraits(config: TabletopConfig, row: int) -> Portraits:
    return Portraits(config, bodies(config)[row])


def _write_view(job: tuple[Path, TabletopConfig, int, int]) -> None:
    folder, config, row, view = job
    body = bodies(config)[row]
    shot = _portraits(config, row).take(view)
    for kind, pixels in (("RGB_cropped", shot.rgb[..., ::-1]), ("depth_cropped", shot.depth)):
        path = folder / "images" / kind / body.name.rsplit("_", 1)[0] / body.name / f"{item_id(body, view)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(path, pixels)


def _sentences(config: TabletopConfig, purpose: int, count: int) -> list[Sentence]:
    """Return `count` descriptions of every view, each by another writer."""
    found = []
    for row, body in enumerate(bodies(config)):
        for view in range(config.views):
            rng = np.random.default_rng([config.seed, purpose, row, view])
            for take, writer in enumerate(rng.permutation(len(WRITERS))[:count].tolist(), start=1):
                text = WRITERS[writer].describe(body, config.slips, rng)
                found.append(Sentence(item_id(body, view), take, writer, text, int(rng.integers(9, 90))))
    return found


def _heard(text: str) -> str:
    """Return a text as a speech recogniser would write it."""
    return "".join(c for c in text.lower() if c.isalnum() or c == " ")


def _table(path: Path, header: Sequence[str], rows: Iterable[tuple[str, ...]], said: Sequence[Sentence]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream, delimiter="\t", lineterminator="\n")
        out.writerow(header)
        for number, (row, sentence) in enumerate(zip(rows, said, strict=True)):
            out.writerow((f"hit_{number:06d}", WRITERS[sentence.writer].name, sentence.seconds, *row))


def _speak(folder: Path, config: TabletopConfig, said: Sequence[Sentence], do: Do, progress: bool) -> None:
    (folder / "speech").mkdir()
    jobs = [(folder, config.seed, number, sentence) for number, sentence in enumerate(said)]
    with tqdm(total=len(jobs), unit="sentence", desc="speaking", disable=not progress) as bar:
        for _ in do(_speak_one, jobs, chunksize=8):
            bar.update()


def _speak_one(job: tuple[Path, int, int, Sentence]) -> None:
    folder, seed, number, sentence = job
    path = folder / "speech" / f"{sentence.item}_{sentence.take}.wav"
    voices.say(sentence.text, sentence.writer, path, np.random.default_rng([seed, 5, number]))


def _truth(body: Body) -> dict[str, Any]:
    return {
        "class": body.kind.label, "colour": body.colour, "accent": body.accent, "pattern": body.pattern.name.lower(),
        "scale": round(body.scale, 3),
    }  # fmt: skip
