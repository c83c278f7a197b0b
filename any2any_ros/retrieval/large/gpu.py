"""Similarities, and the first pass of a search over a large map, on a GPU by PyTorch.

Rankings stay exact: the first pass of the search may round in any order (bounds.py), because float64 products on the
CPU decide; so a ranking is the same wherever its first pass ran. Faiss for GPUs, where it is installed, finds the k
most similar vectors of one modality; a fusion needs all similarities, which Faiss does not return. Everything here also
runs on PyTorch's CPU, which is how it is tested without a GPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError
from any2any_ros.retrieval.index import fitting_rows
from any2any_ros.retrieval.large.bounds import Bound, Part
from any2any_ros.retrieval.large.shards import Shards

T = TypeVar("T")
LARGE = 50_000  # places from which a GPU pays, and from which a map is searched by bounds
DRIVERS = ("/dev/nvidiactl", "/dev/nvmap", "/dev/nvhost-gpu")  # of a desktop GPU, and of Jetsons
FAISS_DEEPEST = 2048  # the largest k that Faiss finds on a GPU


def available_device(device: str, places: int) -> str:
    """Return "cpu" or "cuda" for a map of `places` places; device: "cpu", "cuda" or "auto".

    auto: the GPU, if there is one and the map is large. PyTorch, which costs a second and 200 MB, is imported only
    where a driver is installed. Raises Any2AnyError when "cuda" is demanded and not available.
    """
    if device == "cpu" or (device == "auto" and (places < LARGE or not any(Path(p).exists() for p in DRIVERS))):
        return "cpu"
    if find_spec("torch"):
        import torch

        if torch.cuda.is_available():
            return "cuda"
    if device == "auto":
        return "cpu"
    raise Any2AnyError(
        "Cannot search on the GPU", "PyTorch is not installed, or finds no GPU", "Set device to auto or cpu"
    )


class _OnDevice:
    """Work on a GPU that continues on the CPU when the GPU's memory is full."""

    def __init__(self, device: str) -> None:
        import torch

        self.device, self._torch = device, torch

    def _try(self, work: Callable[[], T], leave: Callable[[], None]) -> T:
        """Return work(); where the GPU is full, call leave() and work() again on the CPU."""
        try:
            return work()
        except self._torch.OutOfMemoryError as error:
            if self.device == "cpu":
                raise
            warnings.warn(f"The GPU's memory is full ({str(error).splitlines()[0]}); the CPU searches on. Set device "
                          "to cpu, or leave the GPU to the encoders", stacklevel=3)  # fmt: skip
            self.device = "cpu"
            leave()
            return work()


class GpuIndex(_OnDevice):
    """A flat index of float32 vectors in a GPU's memory, as ExactIndex."""

    def __init__(self, dimension: int, device: str = "cuda") -> None:
        super().__init__(device)
        self.dimension, self._count = dimension, 0
        self._room = self._torch.empty((0, dimension), device=device)

    def __len__(self) -> int:
        return self._count

    def add(self, vectors: Array) -> None:
        """Append vectors (N, S)."""
        rows = self._torch.from_numpy(fitting_rows(vectors, self.dimension))
        self._try(lambda: self._append(rows), self._leave)

    def _append(self, rows: Any) -> None:
        end = self._count + len(rows)
        if end > len(self._room):  # twice as much, so that places added one by one are not copied each time
            grown = self._torch.empty((max(end, 2 * len(self._room)), self.dimension), device=self.device)
            grown[: self._count] = self._room[: self._count]
            self._room = grown
        self._room[self._count : end] = rows
        self._count = end

    def similarity(self, queries: Array) -> Array:
        """Return (Q, R) inner products of queries (Q, S) with all R rows."""
        return np.asarray(self._try(lambda: self._products(queries).cpu().numpy(), self._leave))

    def search(self, queries: Array, k: int) -> tuple[Array, NDArray[np.int64]]:
        """Return similarities and rows (Q, min(k, R)), best first."""
        found = self._try(lambda: self._best(queries, min(k, len(self))), self._leave)
        return tuple(part.cpu().numpy() for part in found)

    def _best(self, queries: Array, k: int) -> tuple[Any, Any]:
        faiss = _gpu_faiss() if 0 < k <= FAISS_DEEPEST and self.device != "cpu" else None
        if faiss is not None:
            inner = faiss.METRIC_INNER_PRODUCT
            found = faiss.knn_gpu(faiss.StandardGpuResources(), self._given(queries), self._rows, k, metric=inner)
            return found[0], found[1]
        return tuple(self._torch.topk(self._products(queries), k, dim=1))

    def _products(self, queries: Array) -> Any:
        return self._given(queries) @ self._rows.T

    @property
    def _rows(self) -> Any:
        return self._room[: self._count]

    def _given(self, queries: Array) -> Any:
        return self._torch.from_numpy(fitting_rows(queries, self.dimension)).to(self.device)

    def _leave(self) -> None:
        self._room = self._room.cpu()


class GpuKeys(_OnDevice):
    """The keys of every reference (`Search.keys`) from half-precision vectors in a GPU's memory."""

    def __init__(self, shards: Shards, device: str = "cuda") -> None:
        super().__init__(device)
        self._shards = shards
        self._leave()

    def _leave(self) -> None:
        self._columns: list[list[Any]] = []  # by shard, by column: (rows, S) float16
        self._filled: list[int] = []  # rows of each shard that are there
        self._pattern: list[Any] = []  # each one's rows of the shards' patterns (rows,)

    def __call__(self, bound: Bound) -> Array:
        """Return the key (N,) of every reference; -inf where nothing is observed."""
        return self._try(lambda: self._keys(bound), self._leave)

    def _keys(self, bound: Bound) -> Array:
        self._follow()
        keys = [np.empty(0, dtype=np.float32)]
        for columns, size, pattern in zip(self._columns, self._filled, self._pattern, strict=True):
            keys.append(self._of_shard(bound, [stored[:size] for stored in columns], pattern))
        return np.concatenate(keys)

    def _follow(self) -> None:
        """Copy what was added since."""
        first = 0
        for i, (stored, size) in enumerate(self._shards.stored()):
            if i == len(self._columns):
                made = (self._torch.empty(half.shape, dtype=self._torch.float16, device=self.device) for half in stored)
                self._columns.append(list(made))
                self._filled.append(0)
                self._pattern.append(None)
            new = slice(self._filled[i], size)
            if new.start < size:
                for here, half in zip(self._columns[i], stored, strict=True):
                    # A copy, because a map that was opened from disk can only be read.
                    here[new] = self._torch.from_numpy(np.array(half[new])).to(self.device)
                self._pattern[i] = self._tensor(self._shards.pattern[first : first + size])
                self._filled[i] = size
            first += size

    def _of_shard(self, bound: Bound, columns: list[Any], which: Any) -> Array:
        torch, total = self._torch, self._torch.zeros(len(which), device=self.device)
        for part in bound.parts:
            values = self._values(part, columns[part.column])
            if bound.combine == "sum":
                total += values.sum(dim=0)
            else:
                present = self._tensor(self._shards.patterns[:, part.column])[which]
                total = torch.maximum(total, torch.where(present, values.amax(dim=0), 0.0))
        total += self._tensor(bound.constant)[which]
        total *= self._tensor(bound.weight)[which]
        return np.asarray(total.cpu().numpy())

    def _values(self, part: Part, stored: Any) -> Any:
        """Return the part's values (m, n): products, looked up where there are tables."""
        values = self._tensor(part.vectors) @ stored.float().T
        if not part.tables:
            return values
        bins = (values + self._tensor(part.offset)).long()
        looked = zip(part.tables, bins, strict=True)
        return self._torch.stack([self._tensor(t)[at.clamp(0, len(t) - 1)] for t, at in looked])

    def _tensor(self, values: NDArray[Any]) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(values)).to(self.device)


def _gpu_faiss() -> Any:
    """Return Faiss, able to read PyTorch's memory, if it is a build for GPUs; None otherwise."""
    import faiss

    if not hasattr(faiss, "StandardGpuResources"):
        return None
    import_module("faiss.contrib.torch_utils")
    return faiss
