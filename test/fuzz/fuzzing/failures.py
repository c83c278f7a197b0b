"""Inputs that failed, as files: which boundary, the bytes that make the input, and what happened."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from .boundary import Boundary, Outcome, attempt

SHOWN = 2000  # characters of an input that are shown
ALIKE = 5  # files of failures that look alike


def save(folder: Path, name: str, data: bytes, outcome: Outcome) -> Path | None:
    """Write a failure to a file; None when there are enough that look alike."""
    folder.mkdir(parents=True, exist_ok=True)
    alike = hashlib.sha256(f"{name}{outcome.kind}{_last_line(outcome.text)}".encode("utf-8", "replace")).hexdigest()[:8]
    stem = f"{re.sub(r'[^a-zA-Z0-9]+', '-', name)}-{alike}"
    if len(list(folder.glob(f"{stem}-*.json"))) >= ALIKE:
        return None
    path = folder / f"{stem}-{hashlib.sha256(data).hexdigest()[:8]}.json"
    content = {"boundary": name, "choices": data.hex(), "kind": outcome.kind, "what": outcome.text}
    content["input"] = shown(outcome.given)
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def replayed(path: Path, boundaries: dict[str, Boundary]) -> tuple[str, Outcome]:
    """Throw a saved input again; return the name of the boundary and what came of it."""
    content = json.loads(path.read_text())
    return content["boundary"], attempt(boundaries[content["boundary"]], bytes.fromhex(content["choices"]))


def shown(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _last_line(text: str) -> str:
    """Return what failures of one cause have in common: the place in our files, and the error without its numbers."""
    lines = [line.strip() for line in text.splitlines()]
    places = [line for line in lines if "any2any_ros/" in line]
    return re.sub(r"[0-9]+", "", "".join(places[-1:] + lines[-1:])[:200])
