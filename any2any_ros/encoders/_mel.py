"""Mel filters: frequency bands of the width at which the human ear separates pitches."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Float64


def filters(low: float, high: float, bands: int, length: int, rate: int) -> Float64:
    """Return triangular filters (bands, bins) of unit area between `low` and `high` Hz.

    length: samples of the frame whose spectrum is filtered. rate: sample rate in Hz.
    """
    edges = _hertz(np.linspace(_mel(low), _mel(high), bands + 2))
    pitch = np.fft.rfftfreq(length, 1 / rate)
    # A band narrower than the step of the spectrum is widened, so that it has at least its nearest bin.
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    step = rate / length
    lower, upper = np.minimum(lower, centre - step), np.maximum(upper, centre + step)
    rising = (pitch - lower) / (centre - lower)
    falling = (upper - pitch) / (upper - centre)
    bank = np.clip(np.minimum(rising, falling), 0, None)
    return np.asarray(bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-9))


def _mel(hertz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hertz / 700.0))


def _hertz(mel: Float64) -> Float64:
    return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
