"""From a pretrained encoder to an ONNX graph, which runs without PyTorch and transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from any2any_ros import config, storage
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.task import Task
from any2any_ros.data import splits
from any2any_ros.data.sources import Recording
from any2any_ros.encoders import ENCODERS
from any2any_ros.encoders.networks.encoder import NetworkEncoder
from any2any_ros.encoders.networks.export import export, quantise
from any2any_ros.encoders.networks.weights import ONNX
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.progress import Progress, silent
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.retriever import bare_retriever

LOSS = 0.01  # of recall@1, that 8 bits may cost


@dataclass(frozen=True)
class Judge:
    """What 8 bits are judged on: the folder of a map built with the encoder, and a drive through its places."""

    map: Path
    drive: Recording


@dataclass(frozen=True)
class Exported:
    """How an export went. recall: recall@1 with the network as it is and with 8 bits; None without quantisation.
    size: of the graph, in bytes."""

    cosine_distance: float
    size: int
    recall: tuple[float, float] | None = None


def export_encoder(
    encoder: NetworkEncoder, folder: Path, judge: Judge | None = None, progress: Progress[Any] = silent
) -> Exported:
    """Write the encoder's network to a new folder, with weights of 8 bits if there is a judge of them.

    Raises Any2AnyError, and writes nothing, when the folder exists, when the graph differs from PyTorch, and when 8
    bits cost more than LOSS of recall@1.
    """
    if folder.exists():
        raise Any2AnyError(f"Cannot write {folder}", "it exists already", "Choose another folder, or remove it")
    recall = None
    with storage.replacing(folder) as unfinished:
        distance = export(encoder, unfinished)
        if judge is not None:
            quantise(unfinished / ONNX)
            recall = _judged(judge, encoder, unfinished, progress)
            if recall[1] < recall[0] - LOSS:
                raise Any2AnyError(
                    "8 bits cost too much with this network", f"recall@1 falls from {recall[0]:.3f} to {recall[1]:.3f}",
                    "Export it without --int8",
                )  # fmt: skip
    return Exported(distance, (folder / ONNX).stat().st_size, recall)


def build_exportable(plug: str, settings: Mapping[str, Any]) -> NetworkEncoder:
    """Build a pretrained encoder as PyTorch runs it on a CPU; raise Any2AnyError when it is no network."""
    cls = ENCODERS.find(plug)
    if not issubclass(cls, NetworkEncoder):
        raise Any2AnyError(
            f"Encoder '{plug}' cannot be exported", "it is not a network", "Use it as it is: it needs no export"
        )
    return _opened(cls, {**settings, "runtime": "torch", "device": "cpu", "precision": "fp32"})


def _opened(cls: type[NetworkEncoder], settings: Mapping[str, Any]) -> NetworkEncoder:
    return cls(config.build(cls.Config, settings))


def _judged(judge: Judge, encoder: NetworkEncoder, folder: Path, progress: Progress[Any]) -> tuple[float, float]:
    """Return recall@1 of the drive in the map, with the network as it is and with 8 bits."""
    reference = reference_map.load(judge.map)
    modality = next((m for m, r in reference.encoders.items() if r.fingerprint == encoder.fingerprint), None)
    if modality is None:
        raise Any2AnyError(
            f"Map '{reference.name}' cannot judge this encoder",
            f"none of its modalities was made by {encoder.fingerprint}",
            f"Build one: any2any build-map DRIVE MAP --encoder {encoder.modality}={encoder.plug}",
        )
    source = judge.drive
    small = _opened(type(encoder), {**vars(encoder.config), "model": str(folder), "runtime": "onnx"})
    places = reference.places.only([modality])
    retriever = bare_retriever(places, RawMean())
    recalls = []
    for one in (encoder, small):
        queries = source.observe({modality: one}, source.place.keyframe, progress)
        right = splits.positives(queries.poses, places.poses, source.place.hit_radius)
        groups = evaluation.evaluate(retriever, Task(queries, right))
        if not groups:
            raise Any2AnyError(
                f"{source.name} cannot judge this encoder", f"no '{modality}' of it lies near a place of the map",
                "Give a drive through the mapped places",
            )  # fmt: skip
        recalls.append(float(groups[0]["recall@1"]))
    return recalls[0], recalls[1]
