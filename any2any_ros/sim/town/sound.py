"""The sound of the town: sources, softer with distance; the robot's own motor; the wind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from any2any_ros.arrays import Array, Float64
from any2any_ros.sim.town.route import smooth_noise
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.things import SoundSource
from any2any_ros.sim.town.world import World

RATE = 8000  # Hz
REACH = 45.0  # m, farthest distance at which a source is heard
NEAR = 4.0  # m, distance below which a source does not get louder
FULL_SCALE = 4500.0  # amplitude of a source at 0 dB, in steps of int16


def record(config: TownConfig, world: World, lap: int) -> NDArray[np.int16]:
    """Return the sound of one lap (N,), int16 at 8 kHz, from 0 s to the last frame."""
    rng = np.random.default_rng([config.seed, 6, lap])
    track_rate = 20.0
    moments = np.arange(0, world.lap.times[-1] + 1 / track_rate, 1 / track_rate)
    way = np.stack([np.interp(moments, world.lap.track_times, world.lap.track[:, k]) for k in range(2)], axis=1)
    n = round(float(world.lap.times[-1]) * RATE)
    at = np.arange(n) / RATE
    heard = _own_noise(n, config.own_noise, world.condition.wind, rng)
    for source in world.sources:
        level = source.level + rng.normal(0, config.source_change if lap else 0.0)
        if rng.random() < config.source_silent:
            continue
        for first, last in _in_reach(source, way, moments):
            part = slice(int(first * RATE), min(n, int(last * RATE)))
            distance = np.hypot(*(way - [source.x, source.y]).T)
            gain = 10 ** (level / 20) * _fall_off(np.interp(at[part], moments, distance))
            heard[part] += gain * _signature(source, part.stop - part.start, [source.salt, lap, part.start])
    return np.asarray(np.clip(heard * FULL_SCALE, -32767, 32767), dtype=np.int16)


def _in_reach(source: SoundSource, way: Float64, moments: Float64) -> list[tuple[float, float]]:
    """Return the intervals of time (s) in which the robot is close enough to hear the source."""
    near = np.hypot(*(way - [source.x, source.y]).T) < REACH
    edges = np.flatnonzero(np.diff(np.concatenate([[0], near.astype(int), [0]])))
    ends = np.append(moments, moments[-1])
    return [(float(ends[a]), float(ends[b])) for a, b in edges.reshape(-1, 2) if b - a > 1]


def _fall_off(distance: Float64) -> Float64:
    """Return the amplitude at distances (N,) in metres: 1 at 5 m, then as 1/d**1.5, silent at REACH."""
    closeness = (5.0 / np.maximum(distance, NEAR)) ** 1.5
    return np.asarray(closeness * np.clip((REACH - distance) / 10, 0, 1))


def _own_noise(n: int, level: float, wind: float, rng: np.random.Generator) -> Array:
    t = np.arange(n) / RATE
    motor = np.sin(2 * np.pi * 87 * t) + 0.5 * np.sin(2 * np.pi * 174 * t + 1) + 0.4 * _noise(n, 400, 1200, rng)
    gusts = np.interp(t, np.linspace(0, t[-1], max(4, n // RATE)), 1 + 0.5 * smooth_noise(rng, max(4, n // RATE), 2))
    air = 10 ** (wind / 20) * gusts * _noise(n, 20, 250, rng)
    hiss = 0.3 * rng.normal(size=n)
    return np.asarray(10 ** (level / 20) * (motor + air + hiss), dtype=np.float32)


def _signature(source: SoundSource, n: int, seed: list[int]) -> Array:
    """Return the sound (n,) of one source, with RMS 1. Its details are new, its character comes from its salt."""
    rng, character = np.random.default_rng(seed), np.random.default_rng(source.salt)
    sound = _SOUNDS[source.kind](n, source.pitch, character, rng)
    return np.asarray(sound / max(float(np.sqrt(np.mean(sound**2))), 1e-6), dtype=np.float32)


def _noise(n: int, low: float, high: float, rng: np.random.Generator) -> Array:
    """Return noise (n,) between two frequencies (Hz), with RMS 1."""
    band = butter(2, [low, min(high, 0.47 * RATE)], btype="bandpass", fs=RATE, output="sos")
    sound = sosfilt(band, rng.standard_normal(n, dtype=np.float32))
    return np.asarray(sound / max(float(sound.std()), 1e-6), dtype=np.float32)


def _tones(n: int, pitch: float, strengths: Float64, rng: np.random.Generator) -> Array:
    """Return the harmonics (n,) of a pitch (Hz); strengths (K,): amplitude of each."""
    t = np.arange(n) / RATE
    phases = rng.uniform(0, 2 * np.pi, len(strengths))
    sound = np.zeros(n, dtype=np.float32)
    for k, (strength, phase) in enumerate(zip(strengths, phases, strict=True), start=1):
        if pitch * k < 0.45 * RATE:
            sound += np.float32(strength) * np.sin(2 * np.pi * pitch * k * t + phase).astype(np.float32)
    return sound


def _events(n: int, every: float, decay: float, rng: np.random.Generator, jitter: float = 0.5) -> Array:
    """Return an envelope (n,) of strokes about `every` seconds apart, each of which decays within `decay` seconds."""
    count = int(n / RATE / every) + 2
    at = ((np.arange(count) + jitter * rng.uniform(-0.5, 0.5, count) + rng.random()) * every * RATE).astype(int)
    strokes = np.zeros(n, dtype=np.float32)
    strokes[at[(at >= 0) & (at < n)]] = 1.0
    k = np.exp(-1 / (decay * RATE))
    return np.asarray(sosfilt([[1, 0, 0, 1, -k, 0]], strokes), dtype=np.float32)


def _hum(n: int, pitch: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    strengths = character.uniform(0.1, 1, 8) / (1 + np.arange(8)) ** character.uniform(0.3, 1.2)
    return _tones(n, pitch, strengths, rng) + 0.3 * _noise(n, 100, 800, rng)


def _traffic(n: int, _: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    return _noise(n, 40, character.uniform(200, 500), rng) * (0.7 + 0.6 * _events(n, 4, 2.0, rng))


def _water(n: int, _: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    return _noise(n, character.uniform(500, 1500), character.uniform(2500, 3700), rng)


def _birds(n: int, _: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    low = character.uniform(1900, 2900)
    return (0.15 + _events(n, 0.3, 0.06, rng, 1.5)) * _noise(n, low, low + 500, rng)


def _chatter(n: int, _: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    return (0.3 + _events(n, 0.25, 0.1, rng)) * _noise(
        n, character.uniform(250, 400), character.uniform(900, 1600), rng
    )


def _schoolyard(n: int, _: float, _character: np.random.Generator, rng: np.random.Generator) -> Array:
    return (0.3 + _events(n, 0.4, 0.15, rng)) * _noise(n, 800, 2600, rng)


def _music(n: int, pitch: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    chord = [_tones(n, pitch * r, np.array([1, 0.4, 0.2]), rng) for r in (1.0, character.choice([1.19, 1.26]), 1.5)]
    return np.asarray(sum(chord) * (0.3 + _events(n, 0.5, 0.2, rng, 0.02)), dtype=np.float32)


def _bells(n: int, pitch: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    partials = pitch * np.array([1, 2.0, 2.4, 3.0, 4.2]) * character.uniform(0.98, 1.02, 5)
    ring = sum(_tones(n, p, np.array([1.0 / (i + 1)]), rng) for i, p in enumerate(partials))
    return np.asarray(ring * (0.05 + _events(n, 1.6, 0.9, rng, 0.05)), dtype=np.float32)


def _organ(n: int, pitch: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    chord = [_tones(n, pitch * r, character.uniform(0.2, 1, 5), rng) for r in (1.0, 1.25, 1.5)]
    return np.asarray(sum(chord), dtype=np.float32)


def _construction(n: int, pitch: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    hammer = _events(n, character.uniform(0.12, 0.35), 0.02, rng, 0.1) * _noise(n, 300, 3000, rng)
    return hammer + 0.2 * _hum(n, pitch, character, rng)


def _workshop(n: int, pitch: float, character: np.random.Generator, rng: np.random.Generator) -> Array:
    saw = _tones(n, 2 * pitch, 1 / (1 + np.arange(12.0)), rng)
    tool = 0.5 * _noise(n, character.uniform(1000, 1800), 3500, rng)
    return np.asarray(saw * (0.3 + _events(n, 3.0, 1.5, rng)) + tool)


_SOUNDS: dict[str, Callable[[int, float, np.random.Generator, np.random.Generator], Array]] = {
    "hum": _hum,
    "generator": _hum,
    "traffic": _traffic,
    "water": _water,
    "birds": _birds,
    "chatter": _chatter,
    "schoolyard": _schoolyard,
    "music": _music,
    "bells": _bells,
    "organ": _organ,
    "construction": _construction,
    "workshop": _workshop,
}
