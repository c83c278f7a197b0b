"""How much is taken from outside: of one message, one file and one request. Checked before the memory is taken.

A small message or file can promise more than a robot has memory for. Each cap is far above what robots send, and low
enough that a node stays below 1 GB. docs/security.md lists the caps; a test compares the page with this file.
"""

from __future__ import annotations

from collections.abc import Sized
from numbers import Real
from typing import Any

from any2any_ros.errors import Any2AnyError

# --- of one message, or one sample of a Python user -------------------------------------------------------------

MESSAGE_BYTES = 1 << 27  # of a picture or a point cloud; a raw picture of 8K has 100 MB
SMALL_MESSAGE_BYTES = 1 << 23  # of any other message; 40 s of stereo sound have 8 MB
PIXELS = 1 << 25  # of a picture; 8K has 33.2 million
PASSES = 32  # over a JPEG, each of which takes as long as the whole picture; a progressive one has about 10
POINTS = 1 << 22  # of a cloud; a LiDAR of 128 beams sends 0.26 million in a turn
SCAN_POINTS = 1 << 17  # of a scan that is registered, after thinning; half-metre cubes leave some 20,000
BEAMS = 1 << 16  # of a laser scan; a fine one has 8,000
LOWEST_RATE = 100  # Hz, of sound; a telephone has 8,000. Resampling a lower one would make too much of it
HIGHEST_RATE = 384_000  # Hz, of sound; a studio's is 192,000
CHANNELS = 64  # of sound; an array of microphones has 4 to 16
SOUND_SAMPLES = 1 << 24  # of one channel: 5 minutes at 48,000 Hz
CHARACTERS = 1 << 16  # of a text; encoders read the first 10,000
VECTOR = 1 << 16  # values of an embedding; ours have at most 16,384
BOXES = 1000  # of a detector, in one picture; it finds some tens

# --- of what waits in a node ------------------------------------------------------------------------------------

WAITING_BYTES = 1 << 27  # of messages that wait for their turn, beside the newest one

# --- of one request to a node -----------------------------------------------------------------------------------

EMBEDDINGS = 64  # of ~/rank and ~/add_place; a map has some modalities
MATCHES = 1000  # of ~/rank, and of the setting k

# --- of one file ------------------------------------------------------------------------------------------------

TEXT_BYTES = 1 << 23  # of JSON or a table; as Python's objects it takes up to 40 times as much
LINES_BYTES = 1 << 25  # of text with a line for each frame, such as times.txt: 200,000 poses
LOG_BYTES = 1 << 30  # of a laser log, unpacked; those of whole days have some 200 MB
LINE_BYTES = 1 << 20  # of a line of a laser log; a scan of 8,000 beams takes 60 kB
LOG_VALUES = 1 << 27  # of a laser log's scans together: 10 hours of 360 beams, 10 times a second
UNPACKED_BYTES = 1 << 26  # of the compressed arrays of a .npz file; a scan has 0.1 MB. Ours are hardly ever compressed
YAML_BYTES = 1 << 20  # of a bag's metadata.yaml; a bag in 1000 files has 300 kB
SOUND_SECONDS = 60  # of a recording that are read at once; no encoder hears longer ones

LARGE = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/PointCloud2")
RATES = f"{LOWEST_RATE} to {HIGHEST_RATE}"


def check(what: str, count: int, most: int, unit: str, remedy: str) -> None:
    """Raise Any2AnyError when `count` is above `most`. what: "an image". unit: "pixels". remedy: what to do then."""
    if count > most:
        raise Any2AnyError(f"Cannot use {what}", f"it has {count:,} {unit}, and at most {most:,} are read", remedy)


def check_message(raw: Sized, type_name: str) -> None:
    """Raise Any2AnyError when a serialised message is too large for a message of its type."""
    most = MESSAGE_BYTES if type_name in LARGE else SMALL_MESSAGE_BYTES
    check(f"a message of type {type_name}", len(raw), most, "bytes", "Check who publishes it")


def is_rate(hertz: Any) -> bool:
    """Return whether sound may have this sample rate: a whole number, in Hz."""
    return isinstance(hertz, Real) and LOWEST_RATE <= float(hertz) <= HIGHEST_RATE and float(hertz).is_integer()
