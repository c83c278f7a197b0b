"""What sensors see of a grid of places, for the tests of adoption."""

import numpy as np

from any2any_ros.observation import Embedding
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.workflows.adopt import NewSensor

NEW = EncoderRecord("thermal", "thermal-test", 10)
SENSOR = NewSensor("thermal", NEW)
COUNT, WIDTH = 320, 16  # places 10 m apart, on as many lines as fill a square
SEEN, UNSEEN = np.arange(220), np.arange(230, COUNT)  # by the drive of the adoption, and by none


def observe(latent, noise, seed, modalities):
    """Return what each sensor, with a mixing of its own, sees of the places."""
    draw, columns = np.random.default_rng(seed), {}
    for m, sigma in modalities.items():
        mixing = np.random.default_rng(sum(map(ord, m))).normal(size=(latent.shape[1], 10 if m == "thermal" else 12))
        columns[m] = (latent @ mixing + noise * sigma * draw.normal(size=(len(latent), mixing.shape[1]))).astype("f4")
    return columns


def seen(world, modality, place):
    return Embedding(modality, world[1].embeddings[modality][place], 10**9, encoder=f"{modality}-test")
