"""A robot whose sensors send messages, for the tests of retrieval/assembler.py."""

import numpy as np

from any2any_ros.config import AliveConfig
from any2any_ros.observation import Embedding
from any2any_ros.retrieval.assembler import Assembler

MS = 1_000_000
CONFIG = AliveConfig(source_timeout=2.0, slop=0.05, wait=0.05)


class Robot:
    """An assembler that is spoken to in milliseconds; a vector holds the stamp it was sensed at."""

    def __init__(self, config=CONFIG, **options):
        self.assembler = Assembler(config, **options)

    def hear(self, modality, stamp, received=None, sample=0):
        """Return the moments that this message completes, each as (stamp, {modality: stamp of what was used}).

        sample: two messages with one stamp are the same message if their samples are the same, too.
        """
        embedding = Embedding(modality, [stamp, sample], stamp * MS)
        ready = self.assembler.add(embedding, (stamp if received is None else received) * MS)
        return [told(moment) for moment in ready]

    def flush(self, now):
        moment = self.assembler.flush(now * MS)
        return moment and told(moment)

    def alive(self, now):
        return self.assembler.alive(now * MS)

    def run(self, *messages):
        return [moment for message in messages for moment in self.hear(*message)]


def told(moment):
    used = {m: stamp // MS for m, stamp in moment.stamps_ns.items()}
    assert {m: v[0] for m, v in moment.embeddings.items()} == {m: np.float32(stamp) for m, stamp in used.items()}
    return moment.stamp_ns // MS, used
