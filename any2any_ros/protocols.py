"""What the classes of each kind must have. A plug needs these members, and need not inherit from the protocol."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol, cast, runtime_checkable

from any2any_ros.arrays import Array, Flags, Float64, Floats, Int64
from any2any_ros.birds_eye.image import Levels
from any2any_ros.observation import ObservationSet
from any2any_ros.samples import Sound, Transcript


class Seen(NamedTuple):
    """What an encoder makes of one sample: the vector (D,), and a packed bird's-eye image (PACKED,); empty: none."""

    vector: Array
    birds_eye: Levels


@runtime_checkable
class Encoder(Protocol):
    """Turns one sensor sample into one vector. Knows no ROS."""

    plug: ClassVar[str]  # its name, e.g. "lidar"
    modality: ClassVar[str]  # the default modality of its vectors (its default encoder: encoders.default)
    accepts: ClassVar[str]  # the kind of sample: "image", "thermal", "cloud", "scan", "sound" ... (samples/)
    topic: ClassVar[str]  # default topic of its sensor, relative

    keeps: ClassVar[int]  # messages that wait until it is free: 1 for sensors, more for streams such as sound
    uses_odometry: ClassVar[bool]  # whether it puts samples together: gather is that of GathersOnTheWay

    Config: ClassVar[type[Any]]  # its settings, a dataclass (config.py)
    config: Any  # the settings it was built with

    @property
    def space(self) -> str:
        """Name of the embedding space that it shares with other encoders, as the two halves of CLIP do; "": none."""

    @property
    def focal(self) -> float | None:
        """Focal length, in pixels, that its pictures must have; None: any."""

    @property
    def cell(self) -> float:
        """Side, in metres, of a cell of its bird's-eye images; 0: it makes none. With images it has a setting of this
        name, and a method see(sample) -> Seen beside `encode`."""

    @property
    def parts(self) -> tuple[int, ...]:
        """Lengths of the parts of its vectors, each a description by itself; (): one part. Where images are aligned,
        the best places by each part are."""

    @property
    def dimension(self) -> int: ...

    @property
    def fingerprint(self) -> str:
        """Names plug, settings and weights: equal exactly when two encoders make the same vectors."""

    def gather(self, sample: Any, stamp_ns: int) -> Any | None:
        """Collect a stream until there is enough to encode; None until then. Most encoders return `sample`."""

    def encode(self, sample: Any) -> Array:
        """Return a vector (dimension,) float32 of length 1. Raises Any2AnyError for a sample it cannot use."""


def gathered(encoder: Encoder, sample: Any, stamp_ns: int, odometry: Float64 | None) -> Any | None:
    """Return what an encoder encodes after this sample; None until there is enough. odometry: as in GathersOnTheWay."""
    if encoder.uses_odometry:
        return cast(GathersOnTheWay, encoder).gather(sample, stamp_ns, odometry)
    return encoder.gather(sample, stamp_ns)


class GathersOnTheWay(Protocol):
    """An encoder that puts the samples of the last metres together."""

    def gather(self, sample: Any, stamp_ns: int, odometry: Float64 | None) -> Any | None:
        """Add a sample to those before it; return what to encode, None until there is enough.

        odometry: pose (4, 4) of the sensor at the stamp in any frame through which it moves smoothly; None: unknown. A
        jump of time or of odometry begins anew.
        """


@runtime_checkable
class Endpointer(Protocol):
    """Cuts a stream of sound into utterances. Knows no ROS."""

    def hear(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`. Return an utterance when it has ended, None until then."""


@runtime_checkable
class Transcriber(Protocol):
    """Turns one utterance into words. Knows no ROS."""

    plug: ClassVar[str]  # its name, e.g. "sphinx"

    Config: ClassVar[type[Any]]  # its settings, a dataclass (config.py)
    config: Any  # the settings it was built with
    remark: str  # what its user should know, e.g. words that it does not know; "" for nothing

    def transcribe(self, sound: Sound) -> Transcript:
        """Return the words in a sound, "" where there are none. Raises Any2AnyError for a sound it cannot use."""


@runtime_checkable
class Alignment(Protocol):
    """Makes two modalities comparable: their similarity is the inner product query(x) @ reference(y).T."""

    def query(self, x: Array) -> Array:
        """Map vectors of the query modality: (N, Dq) -> (N, S)."""

    def reference(self, y: Array) -> Array:
        """Map vectors of the reference modality: (N, Dr) -> (N, S)."""


@runtime_checkable
class Fusion(Protocol):
    """Turns the similarities of all pairs into one score for each reference. Fitted state (storage.py)."""

    kind: ClassVar[str]  # "fusion"
    plug: ClassVar[str]  # its name, e.g. "mixture"

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> Fusion:
        """Fit on calibration queries: similarity (Q, R, Mq, Mr), NaN where missing; positive (Q, R), the right ones."""

    def score(self, similarity: Floats) -> Floats:
        """(..., R, Mq, Mr), NaN where missing -> (..., R), higher is better; NaN where no pair is observed."""

    def pair_probability(self, similarity: Floats) -> Floats:
        """(..., R, Mq, Mr) -> the same shape: P(right) by each pair alone; NaN where it is unknown."""


@runtime_checkable
class Imputer(Protocol):
    """Adds modalities to observations, estimated from those observed. Fitted state (storage.py)."""

    kind: ClassVar[str]  # "imputer"
    plug: ClassVar[str]  # its name, e.g. "calmrl"
    adds: ClassVar[tuple[str, ...]]  # modalities that it adds; each is compared with itself, by the cosine

    @property
    def dimensions(self) -> dict[str, int]:
        """The dimension of the vectors that it takes, by modality."""

    def extend(self, observations: ObservationSet) -> ObservationSet:
        """Return the observations (N) with the modalities in `adds`; rows of NaN where it estimates nothing."""

    def training_queries(self, queries: ObservationSet, seed: int) -> ObservationSet:
        """Return the queries (N) extended, to fit a fusion on: N rows, or k N rows of k variations."""


@runtime_checkable
class Index(Protocol):
    """Exact inner-product search over the vectors of one modality."""

    def __len__(self) -> int: ...

    def add(self, vectors: Array) -> None: ...

    def similarity(self, queries: Array) -> Array:
        """(Q, S) -> inner products (Q, R) with all R rows."""

    def search(self, queries: Array, k: int) -> tuple[Array, Int64]:
        """(Q, S) -> similarities and rows, each (Q, k), best first."""
