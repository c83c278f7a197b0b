"""Writes a page that stands alone: one HTML file with its style and pictures inside."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from any2any_ros import extras
from any2any_ros.storage import write_atomically

STYLE = Path(__file__).with_name("page.css")


def write(template: Path, path: Path, **values: Any) -> None:
    """Fill a Jinja template with values and write the page to `path`."""
    extras.require("report", "write a report")
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(template.read_text("utf-8"))
    html = page.render(style=STYLE.read_text("utf-8"), **values)
    write_atomically(path, lambda stream: stream.write(html.encode()))


def picture_url(picture: Any) -> str:
    """Return a picture (H, W, 3) uint8, RGB, as a data URL; "" for None."""
    if picture is None:
        return ""
    import cv2

    encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return _url(encoded.tobytes(), "image/jpeg")


def file_url(path: Path, kind: str) -> str:
    """Return a file's bytes as a data URL; kind: its media type, such as image/png."""
    return _url(path.read_bytes(), kind)


def _url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
