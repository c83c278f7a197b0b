"""Reads GoLD, the Grounded Language Dataset, as it is downloaded: pictures and descriptions of household objects.

    images/RGB[_cropped]/<class>/<class>_<instance>/<class>_<instance>_<frame>.png, images/depth[_cropped]/...
    text.tsv      hit_id, worker_id, worktime_s, item_id, text
    speech.tsv    hit_id, worker_id, worktime_s, item_id, wav, transcription
    speech/<class>_<instance>_<frame>_<description>.wav

Cropped pictures are preferred. Tables may be gzipped and may have fewer columns. What is not there is a missing
modality.

Kebe et al., "A Spoken Language Dataset of Descriptions for Speech-Based Grounded Language Learning", NeurIPS 2021.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits, reading, samples
from any2any_ros.arrays import Array
from any2any_ros.data import pictures, wav
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound

# A class name may have underscores, too: allen_wrench. It holds no slash and no tab.
ITEM = re.compile(r"(?P<instance>(?P<label>[^/\\\t\n\x00]{1,200})_[0-9]{1,9})_[0-9]{1,9}")
PICTURES = {"camera": ("RGB_cropped", "RGB"), "depth": ("depth_cropped", "depth")}
MODALITIES = ("camera", "depth", "speech", "text")
CENTIMETRE = 0.01  # m, the unit of a depth picture of 8 bits, which reaches 2.55 m; with 16 bits it is the millimetre


@dataclass(frozen=True)
class Description:
    """One description of a view: its text, who wrote or spoke it, and for a spoken one the name of its file."""

    item: str
    text: str
    worker: str = ""
    wav: str = ""


@dataclass(frozen=True)
class Descriptions(Sequence[Description]):
    """The lines of one table, in order. skipped: how many lines were damaged."""

    lines: tuple[Description, ...]
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, i: Any) -> Any:
        return self.lines[i]


@dataclass(frozen=True)
class View:
    """One view of one object: its item "allen_wrench_5_2", class, and instance "allen_wrench_5"; files; descriptions.

    utterances: a transcription each, and its sound where there is one.
    """

    item: str
    label: str
    instance: str
    camera: Path | None = None
    depth: Path | None = None
    descriptions: tuple[Description, ...] = ()
    utterances: tuple[tuple[Description, Path | None], ...] = ()


@dataclass(frozen=True)
class Gold:
    """A folder of views, ordered by item. skipped: how many things were left out, by reason."""

    folder: Path
    views: tuple[View, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes."""
        return tuple(sorted({v.label for v in self.views}))

    @property
    def instances(self) -> tuple[str, ...]:
        return tuple(sorted({v.instance for v in self.views}))


# --- reading --------------------------------------------------------------------------------------------------


def read(folder: Path) -> Gold:
    """Read a GoLD folder, whole or a part of it. Only its tables are opened; pictures and sounds wait for `sample`.

    A view is an item that has a picture or a description. Damaged lines, and pictures that are not named as an item,
    are counted in `skipped`. Raises Any2AnyError when there is no view, and when a table cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise Any2AnyError(f"There is no folder {folder}", "the path is no folder", "Check its spelling")
    skipped: Counter[str] = Counter()
    pictures = {m: _pictures(folder / "images", names, skipped) for m, names in PICTURES.items()}
    tables = {name: _table_in(folder, name, skipped) for name in ("text", "speech")}
    items = sorted({*pictures["camera"], *pictures["depth"], *tables["text"], *tables["speech"]}, key=_in_order)
    if not items:
        raise Any2AnyError(
            f"{folder} holds no GoLD data",
            "there are no pictures in images/RGB_cropped, RGB, depth_cropped or depth, and no text.tsv or speech.tsv",
            "Give the folder that has images/ in it; any2any simulate-tabletop makes one",
        )
    views = tuple(_view(folder, item, pictures, tables) for item in items)
    return Gold(folder, views, dict(skipped))


def _view(folder: Path, item: str, pictures: Mapping[str, Mapping[str, Path]],
          tables: Mapping[str, Mapping[str, Sequence[Description]]]) -> View:  # fmt: skip
    label, instance = _parts(item)
    spoken = tuple((d, _sound_file(folder / "speech", d.wav)) for d in tables["speech"].get(item, ()))
    return View(
        item, label, instance, pictures["camera"].get(item), pictures["depth"].get(item),
        tuple(tables["text"].get(item, ())), spoken,
    )  # fmt: skip


def _parts(item: str) -> tuple[str, str]:
    """Return class and instance of an item."""
    match = ITEM.fullmatch(item)
    assert match is not None, item
    return match["label"], match["instance"]


def _in_order(item: str) -> tuple[str | int, ...]:
    """Return a sort key that puts frame 10 after frame 9."""
    label, instance, frame = item.rsplit("_", 2)
    return label, int(instance), int(frame)


def _sound_file(folder: Path, name: str) -> Path | None:
    """Return the sound of that name; None when the folder has none."""
    path = folder / f"{name}.wav"
    try:
        return path if "/" not in name and path.is_file() else None
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return None


def _pictures(images: Path, names: Iterable[str], skipped: Counter[str]) -> dict[str, Path]:
    """Return item -> file; where an item is in several of the folders `names`, the first one counts."""
    files: dict[str, Path] = {}
    for name in names:
        for path in sorted((images / name).glob("*/*/*.png")):
            if ITEM.fullmatch(path.stem):
                files.setdefault(path.stem, path)
            else:
                skipped["pictures of no item"] += 1
    return files


def _table_in(folder: Path, name: str, skipped: Counter[str]) -> dict[str, list[Description]]:
    """Return item -> its lines in the folder's table; empty when there is no such table."""
    path = next((p for end in (".tsv", ".tsv.gz") if (p := folder / f"{name}{end}").is_file()), None)
    by_item: dict[str, list[Description]] = defaultdict(list)
    if path is not None:
        table = descriptions(path)
        if table.skipped:
            skipped[f"lines of {path.name}"] += table.skipped
        for line in table:
            by_item[line.item].append(line)
    return dict(by_item)


def descriptions(path: Path) -> Descriptions:
    """Read text.tsv or speech.tsv, gzipped or not. It must have the columns item_id and text or transcription.

    A line with too few or too many columns, without an item, or with neither words nor sound, is skipped and counted.
    Raises Any2AnyError for a file that is no such table, and when all its lines are damaged.
    """
    # Not read by csv: there, a quotation mark that is never closed takes all lines that follow into one value.
    lines = [line.rstrip("\r") for line in _text_of(path).split("\n") if line.strip()]
    header = [name.strip() for name in lines[0].split("\t")] if lines else []
    words = next((name for name in ("text", "transcription") if name in header), None)
    if words is None or "item_id" not in header:
        raise Any2AnyError(
            f"{path} is no table of descriptions",
            f"its first line names {', '.join(header) or 'nothing'}; item_id and text or transcription are needed",
            "Get GoLD's text.tsv or speech.tsv again",
        )
    whole = tuple(_whole_lines(header, words, lines[1:]))
    skipped = len(lines) - 1 - len(whole)
    if skipped and not whole:
        raise Any2AnyError(f"No line of {path} is whole", f"all of its {skipped} lines are damaged", "Get it again")
    return Descriptions(whole, skipped)


def _whole_lines(header: list[str], words: str, lines: Iterable[str]) -> Iterator[Description]:
    for line in (line.split("\t") for line in lines):
        row = dict(zip(header, map(_unquoted, line), strict=False))
        is_whole = len(line) == len(header) and ITEM.fullmatch(row["item_id"]) is not None
        wav = row.get("wav", "").removesuffix(".wav")
        # A sound without a transcription, of which GoLD has some, is still a sound.
        if is_whole and (wav or any(c.isalnum() for c in row[words])):
            yield Description(row["item_id"], row[words], row.get("worker_id", ""), wav)


def _unquoted(value: str) -> str:
    value = value.strip()
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1].replace('""', '"').strip() if quoted else value


def _text_of(path: Path) -> str:
    try:
        data = reading.unpacked(Path(path), limits.TEXT_BYTES)
        return data.decode("utf-8-sig", errors="replace")
    except (OSError, EOFError, ValueError, zlib.error) as error:  # gzip: cut short, damaged, or no archive at all
        raise Any2AnyError(f"Cannot read {path}", str(error) or "it is cut short", "Get the file again") from error


# --- samples --------------------------------------------------------------------------------------------------


def sample(view: View, modality: str, j: int = 0) -> Any | None:
    """Return the picture, the depth, the j-th text or the j-th sound of a view, as samples/ defines it.

    None where it is missing. Raises Any2AnyError for a file that cannot be read.
    """
    if modality == "camera":
        return None if view.camera is None else picture(view.camera)
    if modality == "depth":
        return None if view.depth is None else depth(view.depth)
    if modality == "text":
        return view.descriptions[j].text if j < len(view.descriptions) else None
    path = view.utterances[j][1] if j < len(view.utterances) else None
    return None if path is None else sound(path)


def picture(path: Path) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) uint8, RGB. Raises Any2AnyError for a file that is no picture."""
    return pictures.read(path, samples.decode_image)


def depth(path: Path) -> Array:
    """Return depth (H, W) in metres, NaN = unknown, from a PNG of 16 bits (in mm) or 8 bits (taken as cm).

    Raises Any2AnyError for a file that is no such picture.
    """
    return pictures.read(path, _depth, "PNG of 8 or 16 bits")


def _depth(data: NDArray[np.uint8]) -> Array | None:
    values = samples.decode_pixels(data, "IMREAD_UNCHANGED")
    if values is None or values.dtype not in (np.uint8, np.uint16):
        return None
    plane = values if values.ndim == 2 else values[..., 0]
    unit = 0.001 if plane.dtype == np.uint16 else CENTIMETRE
    return samples.valid_depth(plane.astype(np.float32) * np.float32(unit))


def sound(path: Path) -> Sound:
    """Return the sound of a WAV file of 16 bits, its channels averaged. Raises Any2AnyError for any other file."""
    return wav.read(path)
