"""Writes simulated objects as a GoLD folder, which is read like the recorded one.

images/RGB_cropped/<class>/<class>_<n>/<class>_<n>_<view>.png   crops, 8-bit RGB
images/depth_cropped/...                                        the same crops, 16-bit, mm, 0 = hole
text.tsv, speech.tsv, speech/<class>_<n>_<view>_<k>.wav         written and spoken descriptions
tabletop.json                                                   settings; true colours, pattern and size of each object
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

Do = Callable[..., Iterable[Any]]  # a map over jobs, here or in several processes

KIND = "tabletop"
FORMAT = 1  # changes whenever the same settings give other files
CHUNK = 2  # objects whose views a worker gets at once
TEXT = ("hit_id", "worker_id", "worktime_s", "item_id", "text")
SPEECH = ("hit_id", "worker_id", "worktime_s", "item_id", "wav", "transcription")


@dataclass(frozen=True)
class Sentence:
    """One description of one view.

    take: its number among those of the view. writer: number of the writer. seconds: time that the writer took.
    """

    item: str
    take: int
    writer: int
    text: str
    seconds: int


def write(
    folder: Path, config: TabletopConfig, *, workers: int = 2, progress: bool = True, overwrite: bool = False
) -> Path:
    """Write the objects of `config` to `folder` and return the folder. A folder of these settings that is there stays.

    Without espeak-ng nothing is spoken: speech.tsv has transcriptions, but there are no sounds. The same settings give
    the same bytes for any number of workers. An interrupted write leaves nothing. workers: processes. overwrite:
    replace a folder of other settings. Raises Any2AnyError when something else is in the folder, and when the extra
    `sim` is not installed.
    """
    folder = Path(folder).absolute()
    spoken = config.utterances > 0 and voices.available()
    head = story_head(FORMAT, config)
    if reusable(folder, KIND, head | ({"spoken": True} if spoken else {}), overwrite or _silent(folder, head)):
        return folder
    extras.require("sim", "simulate objects")
    with replacing(folder) as unfinished, mapper(workers) as do:
        _write_views(unfinished, config, do, progress)
        written, utterances = _sentences(config, 3, config.descriptions), _sentences(config, 4, config.utterances)
        _table(unfinished / "text.tsv", TEXT, ((s.item, s.text) for s in written), written)
        rows = ((s.item, f"{s.item}_{s.take}", _transcribed(s.text)) for s in utterances)
        _table(unfinished / "speech.tsv", SPEECH, rows, utterances)
        if spoken:
            _speak(unfinished, config, utterances, do, progress)
        story = head | {"spoken": spoken, "objects": {b.name: _truth(b) for b in bodies(config)}}
        storage.write_json(unfinished / f"{KIND}.json", story)
    return folder


def _silent(folder: Path, head: dict[str, Any]) -> bool:
    """Return whether the folder has the same settings, but was written without speech: then it may be written again."""
    story = folder / f"{KIND}.json"
    return story.is_file() and json.loads(story.read_text("utf-8")).items() >= (head | {"spoken": False}).items()


def item_id(body: Body, view: int) -> str:
    """Return the item of a view, as in GoLD: "teddy_bear_3_1"."""
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
    """Return `count` descriptions of each view, each by another writer."""
    sentences = []
    for row, body in enumerate(bodies(config)):
        for view in range(config.views):
            rng = np.random.default_rng([config.seed, purpose, row, view])
            for take, writer in enumerate(rng.permutation(len(WRITERS))[:count].tolist(), start=1):
                text = WRITERS[writer].describe(body, config.slips, rng)
                sentences.append(Sentence(item_id(body, view), take, writer, text, int(rng.integers(9, 90))))
    return sentences


def _transcribed(text: str) -> str:
    """Return a text as a speech recogniser writes it: small letters, no punctuation."""
    return "".join(c for c in text.lower() if c.isalnum() or c == " ")


def _table(path: Path, header: Sequence[str], rows: Iterable[tuple[str, ...]], sentences: Sequence[Sentence]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        out = csv.writer(stream, delimiter="\t", lineterminator="\n")
        out.writerow(header)
        for number, (row, sentence) in enumerate(zip(rows, sentences, strict=True)):
            out.writerow((f"hit_{number:06d}", WRITERS[sentence.writer].name, sentence.seconds, *row))


def _speak(folder: Path, config: TabletopConfig, sentences: Sequence[Sentence], do: Do, progress: bool) -> None:
    (folder / "speech").mkdir()
    jobs = [(folder, config.seed, number, sentence) for number, sentence in enumerate(sentences)]
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
