"""Similarities, and the first pass of a search over a large map, on a GPU with PyTorch.

Rankings stay exact. The first pass may round in any order, because the bounds allow for it (bounds.py) and float64
products on the CPU decide. So a ranking does not depend on where its first pass ran. Faiss for GPUs, where installed,
finds the k most similar vectors of one modality. It returns no other similarities, and a fusion needs all of them.
Everything here also runs with PyTorch on the CPU; so it is tested without a GPU.
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
from any2any_ros.retrieval.large import LARGE
from any2any_ros.retrieval.large.bounds import Bound, Part
from any2any_ros.retrieval.large.shards import Shards

T = TypeVar("T")
DRIVERS = ("/dev/nvidiactl", "/dev/nvmap", "/dev/nvhost-gpu")  # of desktop GPUs and of Jetsons
FAISS_DEEPEST = 2048  # the largest k that Faiss finds on a GPU


def available_device(device: str, places: int) -> str:
    """Return "cpu" or "cuda" for a map of `places` places. device: "cpu", "cuda" or "auto".

    auto: the GPU, if there is one and the map is large. PyTorch takes a second and 200 MB, so "auto" imports it only
    where a driver is installed. Raises Any2AnyError for "cuda" where there is none.
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
    """Base of what works on a GPU and continues on the CPU when the GPU's memory is full."""

    def __init__(self, device: str) -> None:
        import torch

        self.device, self._torch = device, torch

    def _try(self, work: Callable[[], T], move_to_cpu: Callable[[], None]) -> T:
        """Return work(). When the GPU's memory is full, call move_to_cpu() and then work() again, on the CPU."""
        try:
            return work()
        except self._torch.OutOfMemoryError as error:
            if self.device == "cpu":
                raise
            why = str(error).splitlines()[0]
            warnings.warn(f"The GPU's memory is full ({why}); the CPU searches on. Set device to cpu, or leave the GPU "
                          "to the encoders", stacklevel=3)  # fmt: skip
            self.device = "cpu"
            move_to_cpu()
            return work()


class GpuIndex(_OnDevice):
    """As `ExactIndex`, with the float32 vectors in the memory of a GPU."""

    def __init__(self, dimension: int, device: str = "cuda") -> None:
        super().__init__(device)
        self.dimension, self._count = dimension, 0
        self._buffer = self._torch.empty((0, dimension), device=device)

    def __len__(self) -> int:
        return self._count

    def add(self, vectors: Array) -> None:
        """Append vectors (N, S)."""
        rows = self._torch.from_numpy(fitting_rows(vectors, self.dimension))
        self._try(lambda: self._append(rows), self._move_to_cpu)

    def _append(self, rows: Any) -> None:
        end = self._count + len(rows)
        if end > len(self._buffer):  # doubled, so that adding places one by one rarely copies
            grown = self._torch.empty((max(end, 2 * len(self._buffer)), self.dimension), device=self.device)
            grown[: self._count] = self._buffer[: self._count]
            self._buffer = grown
        self._buffer[self._count : end] = rows
        self._count = end

    def similarity(self, queries: Array) -> Array:
        """Return (Q, R) inner products of queries (Q, S) with all R rows."""
        return np.asarray(self._try(lambda: self._products(queries).cpu().numpy(), self._move_to_cpu))

    def search(self, queries: Array, k: int) -> tuple[Array, NDArray[np.int64]]:
        """Return similarities and rows (Q, min(k, R)), best first."""
        similarity, rows = self._try(lambda: self._best(queries, min(k, len(self))), self._move_to_cpu)
        return similarity.cpu().numpy(), rows.cpu().numpy()

    def _best(self, queries: Array, k: int) -> tuple[Any, Any]:
        faiss = _gpu_faiss() if 0 < k <= FAISS_DEEPEST and self.device != "cpu" else None
        if faiss is not None:
            inner = faiss.METRIC_INNER_PRODUCT
            resources = faiss.StandardGpuResources()
            similarity, rows = faiss.knn_gpu(resources, self._on_device(queries), self._rows, k, metric=inner)
            return similarity, rows
        similarity, rows = self._torch.topk(self._products(queries), k, dim=1)
        return similarity, rows

    def _products(self, queries: Array) -> Any:
        return self._on_device(queries) @ self._rows.T

    @property
    def _rows(self) -> Any:
        return self._buffer[: self._count]

    def _on_device(self, queries: Array) -> Any:
        return self._torch.from_numpy(fitting_rows(queries, self.dimension)).to(self.device)

    def _move_to_cpu(self) -> None:
        self._buffer = self._buffer.cpu()


class GpuKeys(_OnDevice):
    """Computes the keys of all references (`Search.keys`) from half-precision vectors in the memory of a GPU."""

    def __init__(self, shards: Shards, device: str = "cuda") -> None:
        super().__init__(device)
        self._shards = shards
        self._clear()

    def _clear(self) -> None:
        """Drop all vectors. The next call copies them again, to the device that is in use then."""
        self._columns: list[list[Any]] = []  # by shard, by column: (rows, S) float16
        self._filled: list[int] = []  # rows of each shard that were copied
        self._pattern: list[Any] = []  # by shard: each place's row of `Shards.patterns`

    def __call__(self, bound: Bound) -> Array:
        """Return the keys (N,) of all references; -inf where no pair is observed."""
        return self._try(lambda: self._keys(bound), self._clear)

    def _keys(self, bound: Bound) -> Array:
        self._copy_new_rows()
        keys = [np.empty(0, dtype=np.float32)]
        for columns, size, pattern in zip(self._columns, self._filled, self._pattern, strict=True):
            keys.append(self._of_shard(bound, [stored[:size] for stored in columns], pattern))
        return np.concatenate(keys)

    def _copy_new_rows(self) -> None:
        """Copy the rows that were added since the last call."""
        first = 0
        for i, (stored, size) in enumerate(self._shards.stored()):
            if i == len(self._columns):
                float16 = self._torch.float16
                self._columns.append([self._torch.empty(h.shape, dtype=float16, device=self.device) for h in stored])
                self._filled.append(0)
                self._pattern.append(None)
            new = slice(self._filled[i], size)
            if new.start < size:
                for copied, half in zip(self._columns[i], stored, strict=True):
                    # np.array copies, because PyTorch takes no read-only arrays, as those of a map on disk are.
                    copied[new] = self._torch.from_numpy(np.array(half[new])).to(self.device)
                self._pattern[i] = self._tensor(self._shards.pattern[first : first + size])
                self._filled[i] = size
            first += size

    def _of_shard(self, bound: Bound, columns: list[Any], pattern: Any) -> Array:
        """Return the keys (n,) of one shard's places. columns: (n, S) each. pattern (n,)."""
        torch, total = self._torch, self._torch.zeros(len(pattern), device=self.device)
        for part in bound.parts:
            values = self._values(part, columns[part.column])
            if bound.combine == "sum":
                total += values.sum(dim=0)
            else:
                present = self._tensor(self._shards.patterns[:, part.column])[pattern]
                total = torch.maximum(total, torch.where(present, values.amax(dim=0), 0.0))
        total += self._tensor(bound.constant)[pattern]
        total *= self._tensor(bound.weight)[pattern]
        return np.asarray(total.cpu().numpy())

    def _values(self, part: Part, stored: Any) -> Any:
        """Return the part's values (m, n): products, looked up in the tables if there are any."""
        values = self._tensor(part.vectors) @ stored.float().T
        if not part.tables:
            return values
        bins = (values + self._tensor(part.offset)).long()
        tables = ((self._tensor(table), at) for table, at in zip(part.tables, bins, strict=True))
        return self._torch.stack([table[at.clamp(0, len(table) - 1)] for table, at in tables])

    def _tensor(self, values: NDArray[Any]) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(values)).to(self.device)


def _gpu_faiss() -> Any:
    """Return Faiss, prepared to read PyTorch tensors, if it is a build for GPUs; None otherwise."""
    import faiss

    if not hasattr(faiss, "StandardGpuResources"):
        return None
    import_module("faiss.contrib.torch_utils")
    return faiss
