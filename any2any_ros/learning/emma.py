"""Trains EMMA's heads (objects/heads.py) from incomplete data: text, speech, colour and depth of objects.

The geometric loss pulls the modalities of an object together, and pushes those of an object of another class away. The
supervised contrastive loss gathers a class. Training needs PyTorch, applying the heads does not. Paper: docs/emma.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Array, Flags, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.calmrl_losses import calmrl_loss
from any2any_ros.learning.checkpoints import Checkpoint, checkpoints
from any2any_ros.learning.emma_batches import schedule
from any2any_ros.learning.emma_losses import (
    contrastive_loss,
    emma_loss,
    geometric_alignment_loss,
    supervised_contrastive_loss,
)
from any2any_ros.objects.heads import EMMA
from any2any_ros.observation import ObservationSet
from any2any_ros.standardisation import standardised, statistics
from any2any_ros.threads import threads

__all__ = [
    "EMMA", "Checkpoint", "EmmaConfig", "contrastive_loss", "emma_loss", "fit", "geometric_alignment_loss",
    "supervised_contrastive_loss", "training",
]  # fmt: skip

Tensor = Any  # a torch.Tensor; only the functions that train import torch

# Arguments: the projected batch, the projected negatives, the classes, which vectors were recorded, the settings.
LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, EmmaConfig], Tensor]] = {
    "emma": lambda z, other, labels, observed, config: emma_loss(z, other, labels, config.scale),
    "geometric": lambda z, other, labels, observed, config: geometric_alignment_loss(z, other),
    "supcon": lambda z, other, labels, observed, config: supervised_contrastive_loss(z, labels).sum(1),
    "contrastive": lambda z, other, labels, observed, config: contrastive_loss(z).sum(1),
    "calmrl": lambda z, other, labels, observed, config: calmrl_loss(z, observed),
}
WITHIN_OBJECTS = ("contrastive", "calmrl")  # losses that compare modalities of one object: these take at least two


@dataclass(frozen=True)
class EmmaConfig(Settings):
    """How the heads are trained."""

    loss: str = setting("emma", "the loss that is minimised", choices=tuple(LOSSES))
    scale: float = setting(
        1.0, "emma: weight of the supervised contrastive loss beside the geometric one", minimum=0, maximum=1000
    )
    dims: int = setting(1024, "dimensions of the common space", minimum=2, maximum=65536)
    hidden: int = setting(512, "width of the two hidden layers", minimum=1, maximum=65536)
    learning_rate: float = setting(3e-4, "learning rate of Adam", minimum=1e-8, maximum=1)
    batch: int = setting(64, "objects a step", minimum=1, maximum=65536)
    steps: int = setting(1000, "training steps, at most", minimum=1)
    warm_up: int = setting(0, "number of first steps that use complete objects only", minimum=0)
    interval: int = setting(25, "steps from one validation to the next", minimum=1)
    patience: int = setting(10, "validations without improvement after which training ends", minimum=1)
    threads: int = setting(1, "threads of PyTorch; more is slower on a busy machine", minimum=1, maximum=64)
    seed: int = setting(0, "of the initial weights, the batches and the negatives", minimum=0)


def fit(
    train: ObservationSet,
    labels: ArrayLike,
    config: EmmaConfig = EmmaConfig(),
    validation: Callable[[EMMA], float] | None = None,
    progress: Callable[[Iterable[Checkpoint[EMMA]]], Iterable[Checkpoint[EMMA]]] = iter,
    imputed: ObservationSet | None = None,
) -> EMMA:
    """Return the best heads of `training`; progress: wraps the loop over its checkpoints, such as a progress bar."""
    best = None
    for checkpoint in progress(training(train, labels, config, validation, imputed)):
        best = checkpoint.best
    assert best is not None  # there is at least one checkpoint
    return best


def training(
    train: ObservationSet,
    labels: ArrayLike,
    config: EmmaConfig = EmmaConfig(),
    validation: Callable[[EMMA], float] | None = None,
    imputed: ObservationSet | None = None,
) -> Iterator[Checkpoint[EMMA]]:
    """Train a head for every modality of the observations (N) with classes `labels` (N,); yield checkpoints.

    A NaN row is a modality that was not recorded. Loss terms with it are left out, unless `imputed` (N) has a vector in
    its place. validation: how good heads are on other data, higher is better; training ends when it has not risen for
    `patience` checkpoints, and without it after `steps`. The same seed gives the same heads on one machine. Raises
    Any2AnyError when labels or imputed do not fit the observations, with fewer than two classes, and without PyTorch.
    """
    torch = _torch()
    train, classes, rows = _usable(train, labels, config)
    recorded = {m: train.present(m) for m in train.modalities}
    scale = {m: _statistics(train.embeddings[m][recorded[m]]) for m in recorded}
    whole = train if imputed is None else _completed(train, imputed, rows)
    inputs = {m: torch.from_numpy(standardised(whole.embeddings[m], *scale[m])) for m in recorded}
    observed = np.stack(list(recorded.values()), axis=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        heads = {m: _head(torch, len(mean), config) for m, (mean, _) in scale.items()}
    losses = _descent(torch, heads, inputs, observed, classes, config)
    yield from checkpoints(losses, config, lambda: _frozen(heads, scale), validation)


def _descent(
    torch: Any, heads: dict[str, Any], inputs: dict[str, Tensor], observed: Flags, classes: Rows, config: EmmaConfig
) -> Iterator[float]:
    """Train the heads, one step of Adam at a time; yield the loss of each step."""
    optimiser = torch.optim.Adam([p for head in heads.values() for p in head.parameters()], lr=config.learning_rate)
    uses_negatives = config.loss in ("emma", "geometric")
    complete = np.all(observed, axis=1)
    for rows, others in schedule(classes, complete, config.warm_up, config.batch, config.steps, config.seed):
        with threads(config.threads):
            z = _forward(torch, heads, inputs, rows)
            negative = _forward(torch, heads, inputs, others) if uses_negatives else z
            labels, recorded = torch.from_numpy(classes[rows]), torch.from_numpy(observed[rows])
            loss = LOSSES[config.loss](z, negative, labels, recorded, config).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        yield float(loss.detach())


def _forward(torch: Any, heads: dict[str, Any], inputs: dict[str, Tensor], rows: Rows) -> Tensor:
    """Return (B, M, dims) of these rows, NaN where a modality is missing."""
    columns = []
    for modality, head in heads.items():
        x = inputs[modality][rows]
        missing = torch.isnan(x[:, :1])
        columns.append(torch.where(missing, torch.nan, head(torch.nan_to_num(x))))
    return torch.stack(columns, dim=1)


def _head(torch: Any, width: int, config: EmmaConfig) -> Any:
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.hidden), nn.ReLU(),
        nn.Linear(config.hidden, config.dims),
    )  # fmt: skip


def _frozen(heads: dict[str, Any], scale: dict[str, tuple[Array, Array]]) -> EMMA:
    """Return the heads as NumPy arrays, copied."""
    linear = {f"{m}/{i}": layer for m, head in heads.items() for i, layer in enumerate(head[::2])}
    return EMMA(
        {m: mean for m, (mean, _) in scale.items()},
        {m: spread for m, (_, spread) in scale.items()},
        {key: layer.weight.detach().numpy().T.copy() for key, layer in linear.items()},
        {key: layer.bias.detach().numpy().copy() for key, layer in linear.items()},
    )


def _statistics(x: Array) -> tuple[Array, Array]:
    """Return mean and spread (D,) in the precision of the heads."""
    mean, spread = statistics(x)
    return mean.astype(np.float32), spread.astype(np.float32)


def _usable(train: ObservationSet, labels: ArrayLike, config: EmmaConfig) -> tuple[ObservationSet, Rows, Flags]:
    """Return the rows and modalities that have a vector, the rows' classes as 0, 1, 2, ..., and which rows (N,)."""
    label = np.asarray(labels)
    if label.shape != (len(train),):
        why = f"there are {len(train)} observations and labels of shape {label.shape}"
        raise Any2AnyError("The heads cannot be trained", why, "Give one class for every observation")
    present = {m: train.present(m) for m in train.modalities if train.present(m).any()}
    rows = np.any(list(present.values()), axis=0) if present else np.zeros(len(train), dtype=bool)
    names, classes = np.unique(label[rows], return_inverse=True)
    if len(names) < 2 or (config.loss in WITHIN_OBJECTS and len(present) < 2):
        why = f"the data has {len(present)} modalities and {len(names)} classes"
        remedy = f"Give observations of at least two classes; {config.loss} compares two modalities or more"
        raise Any2AnyError("The heads cannot be trained", why, remedy)
    return train.only(present).take(rows), classes.astype(np.intp), rows


def _completed(train: ObservationSet, imputed: ObservationSet, rows: Flags) -> ObservationSet:
    """Return the training rows with imputed vectors where there is none; rows (N,): which of the imputed these are."""
    widths = {m: x.shape[1] for m, x in imputed.embeddings.items()}
    if len(imputed) != len(rows) or any(widths.get(m) != x.shape[1] for m, x in train.embeddings.items()):
        why = f"what is imputed has {len(imputed)} rows of {widths}, and does not stand beside {len(rows)} observations"
        raise Any2AnyError("The heads cannot be trained", why, "Impute the observations that are given")
    return train.filled({m: x[rows] for m, x in imputed.embeddings.items()})


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise Any2AnyError(
            "The heads cannot be trained", str(error), "pip install 'any2any_ros[pretrained]'; using them needs none"
        ) from error
    return torch
