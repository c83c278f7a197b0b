"""Messages that no driver should send: random bytes, messages that are cut, and messages with wild fields."""

from __future__ import annotations

import numpy as np

HEAD = 4  # bytes that say how the rest is encoded
STAMP = 12  # bytes until after the stamp of a header
WORDS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 0x7FC00000, 0x7F800000)  # as lengths, sizes; NaN and infinity as floats


def garbage(message: bytes, rng: np.random.Generator) -> bytes:
    """Return a useless variant of a serialised message (CDR)."""
    return VARIANTS[int(rng.integers(len(VARIANTS)))](message, rng)


def _noise(message: bytes, rng: np.random.Generator) -> bytes:
    return message[:HEAD] + rng.bytes(int(rng.integers(0, 4096)))


def _noise_with_a_stamp(message: bytes, rng: np.random.Generator) -> bytes:
    return message[:STAMP] + rng.bytes(len(message) - STAMP)


def _cut(message: bytes, rng: np.random.Generator) -> bytes:
    return message[: int(rng.integers(HEAD, len(message)))]


def _empty(message: bytes, rng: np.random.Generator) -> bytes:
    return message[:HEAD]


def _wild_fields(message: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite some of the first words behind the stamp: sizes, encodings, lengths of lists."""
    out = bytearray(message)
    for at in rng.integers(STAMP // 4, min(40, len(message) // 4), 6):
        out[4 * at : 4 * at + 4] = int(rng.choice(WORDS)).to_bytes(4, "little")
    return bytes(out)


def _same_everywhere(message: bytes, rng: np.random.Generator) -> bytes:
    """Keep the first fields, and fill the data with one value: a covered lens, silence, points that are NaN."""
    kept = min(len(message), 240)
    return message[:kept] + bytes([int(rng.choice([0, 0xFF]))]) * (len(message) - kept)


VARIANTS = (_noise, _noise_with_a_stamp, _cut, _empty, _wild_fields, _same_everywhere)
