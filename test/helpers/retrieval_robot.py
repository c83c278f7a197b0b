"""A robot that sends embeddings to a retrieval node, and hears what it answers."""

import numpy as np

from any2any_ros import msg
from any2any_ros.nodes import messages
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.observation import Embedding

NS = 1_000_000_000
FAST = {"source_timeout": 0.3, "wait": 0.1, "watch": 0.05}


class Robot:
    """Publishes the embeddings of places of the map, and hears the answers."""

    def __init__(self, bench, reference):
        self.bench, self.reference = bench, reference
        self.rankings = bench.listen(msg.Ranking, "matches")
        self.publisher = bench.publisher(msg.Embedding, "embeddings")

    def see(self, modality, place, stamp_ns, vector=None, encoder=None):
        if vector is None:
            vector = self.reference.places.embeddings[modality][place]
        embedding = Embedding(modality, vector, stamp_ns, "", f"{modality}-test" if encoder is None else encoder)
        self.publisher.publish(messages.embedding_message(embedding, 0.0))

    def answer(self):
        """Wait for the next ranking."""
        count = len(self.rankings)
        self.bench.until(lambda: len(self.rankings) > count)
        return self.rankings[-1]


def ids(ranking):
    return [match.id for match in ranking.matches]


def started(bench, folder, reference, **parameters):
    """Return the robot of a running retrieval node with the map in `folder`."""
    node = bench.node(RetrievalNode, map=str(folder), **(FAST | parameters))
    robot = Robot(bench, reference)  # waits for the node
    robot.node = node
    return robot


class Sure:
    """A confidence that accepts everything, and takes the first `places` for the place set."""

    temperature = 1.0

    def __init__(self, places=3):
        self.places = places

    def probability(self, candidates, modalities):
        return np.linspace(0.9, 0.5, len(candidates.near))

    def accepts(self, candidates, modalities):
        return True

    def presence(self, candidates, modalities):
        return 1.0

    def place_set(self, candidates, modalities):
        return self.places
