"""Messages of pictures, for the tests of samples/."""

from types import SimpleNamespace

import numpy as np

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
GREY = RGB[..., 0]


def image_message(pixels, encoding, padding=0, big=False, width=None):
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        encoding=encoding, height=len(pixels), width=width or pixels.shape[1], step=padded.shape[1],
        is_bigendian=int(big), data=padded.tobytes(),
    )  # fmt: skip
