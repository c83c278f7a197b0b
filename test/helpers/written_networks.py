"""How trainings and exports of tiny networks write an old and a new one, for writers.py."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import networks
import numpy as np
import object_models
import torch
from written_maps import scratch
from written_recordings import raw_drive, remember

from any2any_ros.encoders.networks import export as network_export
from any2any_ros.encoders.networks.liploc_network import NetworkSize
from any2any_ros.learning.cox import CoxConfig
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.learning.liploc import TrainingConfig
from any2any_ros.objects.views import ObjectViews
from any2any_ros.workflows import export, train_cox, train_heads, train_liploc, training
from any2any_ros.workflows.train_cox import PairsConfig


@functools.cache
def views() -> ObjectViews:
    seen, classes, instances = object_models.world(6, 5, 1, seed=3)
    records = {m: {"plug": m, "fingerprint": f"{m}-1", "dimension": 10, "settings": {}} for m in seen.modalities}
    return ObjectViews(dict(seen.embeddings), np.array(seen.ids), classes, instances, records)


@functools.cache
def prepare_training() -> None:
    """Draw the learning curve, which the copies of this process then only write, and record the drive."""
    torch.set_num_threads(1)  # a process that is copied may have one thread only
    raw_drive()
    remember(training, "_learning_curve", lambda curve, chance, name: 0)
    training.write_curve(scratch(), [(1, 0.5, 0.5), (2, 0.4, 0.6)], 0.1, "score")


def train_emma(home: Path, number: int) -> None:
    config = EmmaConfig(dims=8, hidden=8, steps=4, interval=2, batch=16, seed=number)
    train_heads.train_heads(views(), home / "model", config=config)


def train_towers(home: Path, number: int) -> None:
    size = NetworkSize(grid=2, patch_height=16, patch_width=32, width=64, depth=1, hidden=32, dims=16, columns=300)
    schedule = TrainingConfig(batch=4, steps=2, interval=1, warm_up=0, seed=number)
    options = train_liploc.LiplocOptions(training=schedule, size=size, held_out=train_liploc.HeldOutConfig(square=20.0))
    train_liploc.train_liploc(train_liploc.Drives((raw_drive(),)), home / "weights", options)


def teach_sensor(home: Path, number: int) -> None:
    train_cox.train_cox(views(), home / "cox", PairsConfig(pairs=0.3 + 0.2 * number), CoxConfig(rounds=1))


@functools.cache
def tiny_network() -> Any:
    """Return a pretrained encoder of random weights, as `any2any export` builds it."""
    return export.build_exportable("vision", {"model": str(networks.save("resnet", scratch() / "resnet"))})


@functools.cache
def prepare_export() -> None:
    """Export the network, whose graph the copies of this process then only write."""
    real = network_export._write_graph
    graphs: list[bytes] = []

    def write_graph(encoder: Any, graph: Path) -> None:
        if graphs:
            graph.write_bytes(graphs[0])
        else:
            real(encoder, graph)
            graphs.append(graph.read_bytes())

    network_export._write_graph = write_graph
    remember(network_export, "_distance", lambda encoder, graph: 0)
    export_network(scratch(), 0)


def export_network(home: Path, number: int) -> None:
    export.export_encoder(tiny_network(), home / "export")
