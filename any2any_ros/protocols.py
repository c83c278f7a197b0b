"""The sockets. A plug is any class that has these members; none inherits from here."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Floats
from any2any_ros.observation import ObservationSet
from any2any_ros.samples import Sound, Transcript


@runtime_checkable
class Encoder(Protocol):
    """Turns one sensor sample into one vector. Knows no ROS."""

    plug: ClassVar[str]  # its key, e.g. "lidar"
    modality: ClassVar[str]  # what it makes unless told otherwise; another plug of that name is the default encoder
    accepts: ClassVar[str]  # the kind of sample: "image", "thermal", "cloud", "scan", "sound" ... (samples/)
    topic: ClassVar[str]  # where its sensor publishes unless told otherwise, relative

    keeps: ClassVar[int]  # messages it must not miss: 1 for sensors, more for streams such as sound

    Config: ClassVar[type[Any]]  # its settings, a dataclass (config.py)
    config: Any  # those it was built with

    @property
    def space(self) -> str:
        """Encoders of one space, such as CLIP's two halves, may be compared with each other; "": with no other."""

    @property
    def focal(self) -> float | None:
        """Focal length, in pixels, of the pictures that it counts on; None: any will do."""

    @property
    def dimension(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Equal exactly when two encoders' vectors may be compared: plug, settings, weights."""

    def gather(self, sample: Any, stamp_ns: int) -> Any | None:
        """Collect a stream into something worth encoding; None while there is too little (most return `sample`)."""

    def encode(self, sample: Any) -> Array:
        """Return (dimension,) float32, L2-normalised; raise Any2AnyError on a sample it cannot use."""


@runtime_checkable
class Endpointer(Protocol):
    """Cuts a stream of sound into utterances. Knows no ROS."""

    def hear(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return an utterance once it is over, None until then."""


@runtime_checkable
class Transcriber(Protocol):
    """Turns one utterance into words. Knows no ROS."""

    plug: ClassVar[str]  # its key, e.g. "sphinx"

    Config: ClassVar[type[Any]]  # its settings, a dataclass (config.py)
    config: Any  # those it was built with
    remark: str  # what its user should know about it, e.g. words it cannot listen for; "" for nothing

    def transcribe(self, sound: Sound) -> Transcript:
        """Return the words in a sound, "" where there are none; raise Any2AnyError on a sound it cannot use."""


@runtime_checkable
class Alignment(Protocol):
    """Makes two modalities comparable: similarity = query(x) @ reference(y).T, so inner-product search is exact."""

    def query(self, x: Array) -> Array:
        """(N, Dq) -> (N, S)."""

    def reference(self, y: Array) -> Array:
        """(N, Dr) -> (N, S)."""


@runtime_checkable
class Fusion(Protocol):
    """Turns the similarities of the observed pairs into one score. Fitted state (storage.py)."""

    kind: ClassVar[str]  # "fusion"
    plug: ClassVar[str]  # its name, e.g. "mixture"

    @classmethod
    def fit(cls, similarity: Floats, positive: NDArray[np.bool_]) -> Fusion:
        """Fit on calibration queries: similarity (Q, R, Mq, Mr), NaN = missing; positive (Q, R): the right ones."""

    def score(self, similarity: Floats) -> Floats:
        """(..., R, Mq, Mr), NaN = missing -> (..., R), higher is better, NaN where nothing was observed."""

    def pair_probability(self, similarity: Floats) -> Floats:
        """(..., R, Mq, Mr) -> the same shape: P(match) by each pair alone, NaN where that cannot be told."""


@runtime_checkable
class Imputer(Protocol):
    """Adds to observations what their sensors say together, before they are compared. Fitted state (storage.py)."""

    kind: ClassVar[str]  # "imputer"
    plug: ClassVar[str]  # its name, e.g. "calmrl"
    adds: ClassVar[tuple[str, ...]]  # the modalities that it adds; each is compared with itself, by the cosine

    def extend(self, observations: ObservationSet) -> ObservationSet:
        """Return the observations (N) with the modalities in `adds`; NaN rows where it has nothing to say."""

    def training_queries(self, queries: ObservationSet, seed: int) -> ObservationSet:
        """Return the queries (N) that a fusion is fitted on, extended: the same once (N) or several times (k N)."""


@runtime_checkable
class Index(Protocol):
    """Exact inner-product search over the vectors of one modality."""

    def __len__(self) -> int: ...

    def add(self, vectors: Array) -> None: ...

    def similarity(self, queries: Array) -> Array:
        """(Q, S) -> (Q, R)."""

    def search(self, queries: Array, k: int) -> tuple[Array, NDArray[np.int64]]:
        """(Q, S) -> similarities and rows, (Q, k) each, best first."""
