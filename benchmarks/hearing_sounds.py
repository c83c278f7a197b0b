"""The sounds of benchmarks/hearing.py: synthetic voices (espeak-ng), sounds that are no command, and noise."""

from __future__ import annotations

import functools
import io
import shutil
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing import grammar
from any2any_ros.hearing._utterance import RATE
from any2any_ros.sounds import resampled

# No voice of the calibration is tested, and the calibration has two accents only.
VOICES = {
    "calibrate": ("en-us+m1", "en-us+f1", "en-us+m3", "en-us+f2", "en-gb+m1", "en-gb+f2"),
    "test": (
        "en-us+m2", "en-us+m7", "en-us+f3", "en-us+f4", "en-us-nyc+m5", "en-gb-x-rp+f5", "en-gb-scotland+m4",
        "en-gb-x-gbclan+m6", "en-029+f3",
    ),
}  # fmt: skip
SPEEDS = (120, 160, 200)  # words per minute
NOISES = ("white", "pink", "babble")
LEVELS = (np.inf, 20.0, 10.0, 5.0)  # dB, signal to noise

SENTENCES = {
    "calibrate": (
        "the weather is nice today", "i will call you back later this evening", "did you see the game last night",
        "turn left at the next traffic light", "my brother lives in a small house near the sea",
        "we should leave before it starts to rain", "can you hear me now", "the meeting was moved to thursday",
        "she has been working here for ten years", "nobody knows where the keys are",
        "what time does the train arrive", "let me think about it for a moment",
    ),
    "test": (
        "i would like a cup of tea with some milk", "yesterday we went to the market and bought fresh bread",
        "the book on the table belongs to my sister", "how was your trip to the mountains",
        "please remember to lock the door tonight", "he told me a story about a blue bird",
        "there is something wrong with the computer", "i can't find my glasses anywhere",
        "where is the nearest hospital", "give my regards to your parents", "it takes two hours to get there by car",
        "stop the music and listen to me", "good morning everybody", "that is not what i meant",
    ),
}  # fmt: skip
# Commands about objects that the grammar has no word for.
UNKNOWN_OBJECTS = {
    "calibrate": (
        "bring me the purple dinosaur", "fetch the ladder", "give me the violin", "show me a bicycle",
        "find my umbrella", "pick up the newspaper", "where is the elephant",
    ),
    "test": (
        "bring me the red guitar", "fetch the suitcase", "give me the calculator", "show me a candle", "find my wallet",
        "pick up the blanket", "where is the refrigerator", "take the green carpet",
    ),
}  # fmt: skip
FOREIGN = {
    "calibrate": {
        "de": ("guten morgen ich möchte ein bier", "wo ist der bahnhof bitte", "das wetter ist heute sehr schön"),
        "it": ("buongiorno vorrei un caffè", "dove si trova la stazione", "oggi fa molto caldo in città"),
    },
    "test": {
        "de": ("bring mir bitte die blaue tasse", "wir fahren morgen nach berlin", "hast du meinen schlüssel gesehen"),
        "fr": ("apporte moi la tasse bleue", "il fait très beau aujourd'hui", "je ne sais pas où est la gare"),
        "es": ("tráeme la taza azul por favor", "hoy hace mucho calor", "no sé dónde está la estación"),
        "pl": ("przynieś mi niebieski kubek", "dzisiaj jest bardzo ładna pogoda", "gdzie jest dworzec"),
        "cmn": ("请把蓝色的杯子给我", "今天天气很好", "火车站在哪里"),
    },
}


@dataclass(frozen=True, eq=False)
class Labelled:
    """One sound: samples (S,) at 16 kHz, its kind, and the command in it ("" for none)."""

    samples: Float64
    kind: str
    text: str


@functools.lru_cache(maxsize=4000)
def say(text: str, voice: str, speed: int = 160) -> Float64:
    """Return the text spoken by espeak-ng (S,) at 16 kHz."""
    if shutil.which("espeak-ng") is None:
        raise Any2AnyError("There is no voice", "espeak-ng is not installed", "sudo apt install espeak-ng")
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "--stdin", "--stdout"]
    data = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
    raw = data[data.index(b"data") + 8 :]
    return resampled(np.frombuffer(raw[: len(raw) // 2 * 2], "<i2") / 32768.0, rate, RATE)


def phrase(draw: np.random.Generator) -> str:
    """Return a command of the grammar."""
    openings, adjectives, objects = (
        [p.strip() for p in words.split(",")] for words in (grammar.OPENINGS, grammar.ADJECTIVES, grammar.OBJECTS)
    )
    count = draw.choice(3, p=(0.3, 0.5, 0.2))
    parts = [draw.choice(openings), draw.choice(["the", "the", "my", "a", ""]), *draw.choice(adjectives, count, False)]
    return " ".join(filter(None, [*parts, draw.choice(objects), "please" if draw.random() < 0.2 else ""]))


def noise(kind: str, length: int, draw: np.random.Generator, voices: str = "test") -> Float64:
    """Return noise (length,) of mean power 1.

    kind: white, pink, brown, babble (four other sentences at once), hum or music.
    """
    if kind == "babble":
        x = sum(_repeated(str(draw.choice(SENTENCES[voices])), str(draw.choice(VOICES[voices])), length, draw)
                for _ in range(4))  # fmt: skip
    elif kind == "hum":
        x = sum(np.sin(2 * np.pi * 50 * k * np.arange(length) / RATE) / k for k in range(1, 12))
    elif kind == "music":
        x = _music(length, draw)
    else:
        slope = {"white": 0.0, "pink": 0.5, "brown": 1.0}[kind]
        spectrum = np.fft.rfft(draw.normal(size=length))
        spectrum /= np.maximum(np.arange(len(spectrum)), 20) ** slope
        x = np.fft.irfft(spectrum, length)
    return np.asarray(x / max(float(np.sqrt(np.mean(np.square(x)))), 1e-12))


def _repeated(text: str, voice: str, length: int, draw: np.random.Generator) -> Float64:
    x = say(text, voice)
    return np.roll(np.resize(x / np.sqrt(np.mean(x**2)), length), int(draw.integers(length)))


def _music(length: int, draw: np.random.Generator) -> Float64:
    """Return chords and a melody, four notes per second, with overtones that fade."""
    x, step = np.zeros(length), RATE // 4
    t = np.arange(2 * step) / RATE
    for start in range(0, length, step):
        for note in draw.choice([0, 2, 4, 5, 7, 9, 11, 12, 14, 16], 1 + 3 * (start % (4 * step) == 0)):
            pitch = 220 * 2 ** (note / 12)
            tone = sum(np.sin(2 * np.pi * pitch * k * t) / k**1.3 for k in range(1, 9)) * np.exp(-3 * t)
            x[start : start + len(t)] += tone[: length - start]
    return x


def with_noise(x: Float64, snr: float, kind: str, draw: np.random.Generator, voices: str = "test") -> Float64:
    """Return the sound with noise `snr` dB below the power of the louder half of the sound."""
    if np.isinf(snr):
        return x
    block = x[: len(x) // 320 * 320].reshape(-1, 320)
    power = np.square(block).mean(axis=1)
    level = np.sqrt(power[power >= np.median(power)].mean())
    return np.asarray(x + level * 10 ** (-snr / 20) * noise(kind, len(x), draw, voices))


def commands(count: int, part: str, draw: np.random.Generator, noise_of: tuple[float, str] = (np.inf, "white"),
             voices: Sequence[str] = (), speeds: Sequence[int] = SPEEDS) -> list[Labelled]:  # fmt: skip
    """Return spoken commands; voices and speeds take turns. noise_of: signal to noise in dB, and kind of noise."""
    voices, sounds = voices or VOICES[part], []
    for i in range(count):
        text = phrase(draw)
        x = say(text, voices[i % len(voices)], speeds[i // len(voices) % len(speeds)])
        sounds.append(Labelled(with_noise(x, *noise_of, draw, part), "command", text))
    return sounds


def others(part: str, draw: np.random.Generator) -> list[Labelled]:
    """Return sounds of all kinds that hold no command of the grammar."""
    sounds = []
    for kind, texts in (("other English", SENTENCES[part]), ("a command of unknown words", UNKNOWN_OBJECTS[part])):
        sounds += [Labelled(say(text, voice), kind, "") for text in texts for voice in VOICES[part]]
    for language, texts in FOREIGN[part].items():
        spoken = [say(text, f"{language}+{variant}") for text in texts for variant in ("m1", "f2", "m4", "f4")]
        sounds += [Labelled(x, f"foreign: {language}", "") for x in spoken]
    for kind in ("white", "pink", "brown", "hum", "music", "babble"):
        sounds += [Labelled(0.1 * noise(kind, int(RATE * s), draw, part), kind, "") for s in draw.uniform(0.5, 6, 20)]
    return sounds
