"""EMMA: heads that bring text, speech, colour and depth of an object into one space, from what of them was recorded.

Every modality has a head of its own over its frozen encoder's vectors: three linear layers, ReLU between, length 1.
The geometric loss pulls the modalities of an object together and pushes those of an object of another class away; the
supervised contrastive one gathers a class. A command and an object are as far apart as the mean of 1 - cos over the
pairs of modalities that are there (Eq. 9). Fitting takes PyTorch, applying takes NumPy. METHODS: docs/emma.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Array, Flags, Floats, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.calmrl_losses import calmrl_loss
from any2any_ros.learning.emma_batches import schedule
from any2any_ros.learning.emma_losses import (
    contrastive_loss,
    emma_loss,
    geometric_alignment_loss,
    supervised_contrastive_loss,
)
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment
from any2any_ros.threads import threads

__all__ = [
    "EMMA", "EmmaConfig", "Step", "contrastive_loss", "emma_loss", "fit", "geometric_alignment_loss",
    "supervised_contrastive_loss", "training",
]  # fmt: skip

Tensor = Any  # a torch.Tensor; torch is imported by who fits

LAYERS = 3
FARTHEST = 5.0  # standard deviations: a feature that training hardly ever saw must not outshout the others
# Of a batch's heads, those of as many negatives, the classes, and which vectors were observed, not imputed.
LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, EmmaConfig], Tensor]] = {
    "emma": lambda z, other, labels, observed, config: emma_loss(z, other, labels, config.scale),
    "geometric": lambda z, other, labels, observed, config: geometric_alignment_loss(z, other),
    "supcon": lambda z, other, labels, observed, config: supervised_contrastive_loss(z, labels).sum(1),
    "contrastive": lambda z, other, labels, observed, config: contrastive_loss(z).sum(1),
    "calmrl": lambda z, other, labels, observed, config: calmrl_loss(z, observed),
}
ALONE = ("contrastive", "calmrl")  # losses that compare an object's own modalities: one of them is not enough


@dataclass(frozen=True)
class EmmaConfig(Settings):
    """How the heads are trained."""

    loss: str = setting("emma", "what is minimised", choices=tuple(LOSSES))
    scale: float = setting(
        1.0, "emma: weight of the supervised contrastive loss beside the geometric one", minimum=0, maximum=1000
    )
    dims: int = setting(1024, "dimensions of the common space", minimum=2, maximum=65536)
    hidden: int = setting(512, "width of the two hidden layers", minimum=1, maximum=65536)
    learning_rate: float = setting(3e-4, "Adam's", minimum=1e-8, maximum=1)
    batch: int = setting(64, "objects a step", minimum=1, maximum=65536)
    steps: int = setting(1000, "at most", minimum=1)
    warm_up: int = setting(0, "of the steps, so many begin with the complete objects alone", minimum=0)
    interval: int = setting(25, "steps from one look at the validation data to the next", minimum=1)
    patience: int = setting(10, "looks without a better one, and training ends", minimum=1)
    threads: int = setting(1, "of PyTorch; more is slower beside busy neighbours", minimum=1, maximum=64)
    seed: int = setting(0, "of the heads' first weights, the batches and the negatives", minimum=0)


@dataclass(frozen=True, eq=False)
class EMMA:
    """The heads: mean and spread (D,) of the training vectors by modality; weights (in, out) and biases (out,) by
    "modality/layer". float32."""

    kind: ClassVar[str] = "heads"
    plug: ClassVar[str] = "emma"

    mean: dict[str, Array]
    spread: dict[str, Array]
    weights: dict[str, Array]
    biases: dict[str, Array]

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.mean))

    def project(self, modality: str, x: Floats) -> Array:
        """Return (N, dims) of length 1 for an encoder's vectors x (N, D); a NaN row (missing) stays NaN."""
        x = np.asarray(x, dtype=np.float32)
        self._check(modality, x)
        z = standardised(x, self.mean[modality], self.spread[modality])
        for layer in range(LAYERS):
            z = z @ self.weights[f"{modality}/{layer}"] + self.biases[f"{modality}/{layer}"]
            z = np.maximum(z, 0) if layer < LAYERS - 1 else z
        length = np.linalg.norm(z, axis=1, keepdims=True)
        return np.asarray(z / np.where(length > 0, length, 1), dtype=np.float32)

    def distance(self, query: ObservationSet, reference: ObservationSet) -> Array:
        """Return (Q, R): mean of 1 - cos over the pairs that both sides have (Eq. 9), NaN where there is none.

        The pairs are every modality of the query with every one of the reference: `.only()` chooses. Those without a
        head are ignored.
        """
        total = np.zeros((len(query), len(reference)), dtype=np.float32)
        pairs = np.zeros_like(total)
        there = {r: self.project(r, reference.embeddings[r]) for r in self.modalities if r in reference.embeddings}
        for q in (m for m in self.modalities if m in query.embeddings):
            z = self.project(q, query.embeddings[q])
            for r, candidates in there.items():
                seen = query.present(q)[:, None] & reference.present(r)
                total += np.where(seen, 1 - z @ candidates.T, 0)
                pairs += seen
        return np.where(pairs > 0, total / np.maximum(pairs, 1), np.float32(np.nan))

    def alignments(
        self, query_modalities: Iterable[str], reference_modalities: Iterable[str]
    ) -> dict[tuple[str, str], Alignment]:
        """Return what a Retriever compares these modalities by; the mean of its similarities is 1 - distance."""
        query, reference = tuple(query_modalities), tuple(reference_modalities)
        for modality in (*query, *reference):
            self._known(modality)
        return {(q, r): HeadPair(self, q, r) for q in query for r in reference}

    def _known(self, modality: str) -> None:
        if modality not in self.mean:
            raise Any2AnyError(
                f"There is no head for '{modality}'",
                f"there are heads for {', '.join(self.modalities)}",
                "Correct its name, or train with data that has it",
            )

    def _check(self, modality: str, x: Array) -> None:
        self._known(modality)
        width = len(self.mean[modality])
        if x.ndim != 2 or x.shape[1] != width or np.isinf(x).any():
            found = "it has infinite values" if x.ndim == 2 and x.shape[1] == width else f"its shape is {x.shape}"
            raise Any2AnyError(
                f"The '{modality}' head cannot take a vector", f"{found}; it takes (N, {width}), finite, or NaN rows",
                "Use the encoder that the heads were trained with",
            )  # fmt: skip


@dataclass(frozen=True)
class HeadPair:
    """An Alignment (protocols.py): one modality's head for the query, another's for the reference."""

    heads: EMMA
    query_modality: str
    reference_modality: str

    def query(self, x: Array) -> Array:
        return self.heads.project(self.query_modality, x)

    def reference(self, y: Array) -> Array:
        return self.heads.project(self.reference_modality, y)


def standardised(x: Array, mean: Array, spread: Array) -> Array:
    """Return x (N, D) in standard deviations of the training vectors, none beyond FARTHEST; NaN stays NaN."""
    return np.asarray(np.clip((x - mean) / spread, -FARTHEST, FARTHEST), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Step:
    """Where training stands: steps done, mean loss since the last look, the validation's score, NaN without one, and
    the best heads so far."""

    number: int
    loss: float
    score: float
    best: EMMA


def fit(
    train: ObservationSet,
    labels: ArrayLike,
    config: EmmaConfig = EmmaConfig(),
    validation: Callable[[EMMA], float] | None = None,
    progress: Callable[[Iterable[Step]], Iterable[Step]] = iter,
    imputed: ObservationSet | None = None,
) -> EMMA:
    """Return the best heads that `training` finds; progress: a wrapper of the loop over its steps, e.g. a bar."""
    best = None
    for step in progress(training(train, labels, config, validation, imputed)):
        best = step.best
    assert best is not None  # there is at least one step
    return best


def training(
    train: ObservationSet,
    labels: ArrayLike,
    config: EmmaConfig = EmmaConfig(),
    validation: Callable[[EMMA], float] | None = None,
    imputed: ObservationSet | None = None,
) -> Iterator[Step]:
    """Train a head for every modality of `train` (N) with classes `labels` (N,); yield at every look.

    A NaN row is a modality that was not recorded, and drops its terms, unless `imputed` (N) has something in its place.
    validation: how good heads are on other data, higher is better; training ends when it has not risen `patience`
    times, and without it after `steps`. The same seed gives the same heads on one machine. Raises Any2AnyError on data
    that nothing can be learnt from.
    """
    torch = _torch()
    train, classes, some = _usable(train, labels, config)
    seen = {m: train.present(m) for m in train.modalities}
    state = {m: _statistics(train.embeddings[m][seen[m]]) for m in seen}
    whole = train if imputed is None else _completed(train, imputed, some)
    inputs = {m: torch.from_numpy(standardised(whole.embeddings[m], *state[m])) for m in seen}
    observed = np.stack(list(seen.values()), axis=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        heads = {m: _head(torch, len(mean), config) for m, (mean, _) in state.items()}
    best, highest, since, losses = _frozen(heads, state), -np.inf, 0, []
    for number, loss in enumerate(_descent(torch, heads, inputs, observed, classes, config), start=1):
        losses.append(loss)
        if number % config.interval and number < config.steps:
            continue
        now = _frozen(heads, state)
        score = float("nan") if validation is None else float(validation(now))
        better = validation is None or score > highest
        best, highest, since = (now, score, 0) if better else (best, highest, since + 1)
        yield Step(number, float(np.mean(losses)), score, best)
        losses = []
        if since >= config.patience:
            return


def _descent(
    torch: Any, heads: dict[str, Any], inputs: dict[str, Tensor], observed: Flags, classes: Rows, config: EmmaConfig
) -> Iterator[float]:
    """Improve the heads, a step at a time; yield each one's loss."""
    optimiser = torch.optim.Adam([p for head in heads.values() for p in head.parameters()], lr=config.learning_rate)
    others_matter = config.loss in ("emma", "geometric")
    complete = np.all(observed, axis=1)
    for rows, others in schedule(classes, complete, config.warm_up, config.batch, config.steps, config.seed):
        with threads(config.threads):
            z = _forward(torch, heads, inputs, rows)  # (B, M, dims), NaN = missing
            negative = _forward(torch, heads, inputs, others) if others_matter else z
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


def _frozen(heads: dict[str, Any], state: dict[str, tuple[Array, Array]]) -> EMMA:
    """Return the heads as arrays of their own."""
    linear = {f"{m}/{i}": layer for m, head in heads.items() for i, layer in enumerate(head[::2])}
    return EMMA(
        {m: mean for m, (mean, _) in state.items()},
        {m: spread for m, (_, spread) in state.items()},
        {key: layer.weight.detach().numpy().T.copy() for key, layer in linear.items()},
        {key: layer.bias.detach().numpy().copy() for key, layer in linear.items()},
    )


def _statistics(x: Array) -> tuple[Array, Array]:
    """Return mean and spread (D,) of x (N, D); a feature that never changes is left as large as it is."""
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    constant = spread <= 1e-6 * np.abs(mean)
    return mean.astype(np.float32), np.where(constant, 1.0, spread).astype(np.float32)


def _usable(train: ObservationSet, labels: ArrayLike, config: EmmaConfig) -> tuple[ObservationSet, Rows, Flags]:
    """Return the rows and modalities with something recorded, their classes as 0, 1, 2, ..., and which rows (N,)."""
    given = np.asarray(labels)
    if given.shape != (len(train),):
        why = f"there are {len(train)} observations and labels of shape {given.shape}"
        raise Any2AnyError("The heads cannot be trained", why, "Give one class for every observation")
    present = {m: train.present(m) for m in train.modalities if train.present(m).any()}
    some = np.any(list(present.values()), axis=0) if present else np.zeros(len(train), dtype=bool)
    found, classes = np.unique(given[some], return_inverse=True)
    if len(found) < 2 or (config.loss in ALONE and len(present) < 2):
        why = f"the data has {len(present)} modalities and {len(found)} classes"
        remedy = f"Give observations of at least two classes; {config.loss} compares two modalities or more"
        raise Any2AnyError("The heads cannot be trained", why, remedy)
    return train.only(present).take(some), classes.astype(np.intp), some


def _completed(train: ObservationSet, imputed: ObservationSet, some: Flags) -> ObservationSet:
    """Return what was recorded, and in its absence what was imputed, of `some` (N,) of the imputed rows."""
    widths = {m: x.shape[1] for m, x in imputed.embeddings.items()}
    if len(imputed) != len(some) or any(widths.get(m) != x.shape[1] for m, x in train.embeddings.items()):
        why = f"what is imputed has {len(imputed)} rows of {widths}, and does not stand beside {len(some)} observations"
        raise Any2AnyError("The heads cannot be trained", why, "Impute the observations that are given")
    return train.filled({m: x[some] for m, x in imputed.embeddings.items()})


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise Any2AnyError(
            "The heads cannot be trained", str(error), "pip install 'any2any_ros[pretrained]'; using them needs none"
        ) from error
    return torch
