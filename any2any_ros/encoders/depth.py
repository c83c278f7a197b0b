"""Depth of one object without weights: its height above what it stands on, as a picture, as slopes, and in metres.

A plane is linear in inverse depth over the pixels, wherever the optical axis is. So the support is found in a crop
whose place in the whole picture nobody knows: by RANSAC on the crop's rim. What rises above it is the object. Heights
above the support and lengths along it do not depend on the distance of the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.errors import Any2AnyError

CELL, BLOCK, BINS = 16, 32, 9
TRIALS = 60  # of RANSAC
FARTHEST = 50.0  # m; what is said to be farther is an error of the sensor
WORKING = 128  # px that the longer side is brought to: more costs time and tells nothing
SIZES = np.geomspace(0.008, 0.5, 14)  # m, centres of the bins of a length
SLOPES, LAYERS = 8, 4  # bins of the angle between a surface and the support, and of the height it is at


@dataclass(frozen=True)
class DepthConfig(Settings):
    """Settings of the descriptor of an object's depth."""

    focal: float = setting(525.0, "focal length of the depth camera", unit="px", minimum=10, maximum=10000)
    size: int = setting(96, "of the small picture of heights", unit="px", minimum=32, maximum=512)
    picture: float = setting(1.0, "weight of the picture of heights", minimum=0, maximum=10)
    shape: float = setting(1.0, "weight of slopes and outline", minimum=0, maximum=10)
    metric: float = setting(1.0, "weight of the sizes in metres", minimum=0, maximum=10)
    rise: float = setting(0.006, "what stands no higher above the support is the support", unit="m", minimum=0.0005,
                          maximum=0.5)  # fmt: skip
    known: float = setting(0.1, "a crop of which a smaller share was measured is refused", minimum=0.001, maximum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.picture or self.shape or self.metric):
            raise Any2AnyError(
                "The settings of the depth descriptor leave nothing to see", "all weights are 0", "Raise one"
            )


@dataclass(frozen=True, eq=False)
class Relief:
    """What stands on the support: height (H, W) m above it, along (H, W, 2) m on it, and whose pixels these are."""

    height: Array
    along: Array
    mine: NDArray[np.bool_]


class DepthEncoder:
    """Cost: 4-10 ms. Invariant to: distance, holes, and where in the picture the object was cut out."""

    plug: ClassVar[str] = "depth"
    modality: ClassVar[str] = "depth"
    accepts: ClassVar[str] = "depth"
    topic: ClassVar[str] = "object/depth"
    keeps: ClassVar[int] = 1
    revision: ClassVar[int] = 1
    Config: ClassVar[type[DepthConfig]] = DepthConfig

    def __init__(self, config: DepthConfig = DepthConfig()) -> None:
        import cv2

        self.config = config
        self._side = config.size // CELL * CELL  # HOG wants whole cells
        side, block, cell = (self._side, self._side), (BLOCK, BLOCK), (CELL, CELL)
        self._hog: Any = cv2.HOGDescriptor(side, block, cell, cell, BINS)

    @property
    def dimension(self) -> int:
        return int(self._hog.getDescriptorSize()) + SLOPES * LAYERS + 2 * LAYERS + 4 * len(SIZES)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    @property
    def focal(self) -> float:
        return self.config.focal

    def gather(self, sample: NDArray[np.float32], stamp_ns: int) -> NDArray[np.float32]:
        return sample

    def encode(self, sample: NDArray[np.float32]) -> Array:
        """Return (dimension,) for a crop (H, W) of depth in metres, NaN = hole; raise on one with too little in it."""
        depth = np.asarray(sample, dtype=np.float32)
        there = (depth > 0) & (depth < FARTHEST)
        if there.sum() < max(50, self.config.known * depth.size):
            raise Any2AnyError(
                "Cannot use a depth image",
                f"{there.sum()} of its {depth.size} pixels were measured",
                "Go nearer, or away from sunlight and mirrors",
            )
        relief = self._relief(depth, there)
        c = self.config
        parts = (
            c.picture * unit(self._picture(relief)),
            c.shape * unit(_shape(relief)),
            c.metric * unit(_metric(relief)),
        )
        return unit(np.concatenate(parts))

    def _relief(self, depth: Array, there: NDArray[np.bool_]) -> Relief:
        """Return the object over its support."""
        import cv2

        step = max(1, round(max(depth.shape) / WORKING))
        depth, there = depth[::step, ::step], there[::step, ::step]
        filled = np.asarray(cv2.medianBlur(_filled(depth, there), 3), dtype=np.float32)
        v, u = np.mgrid[: depth.shape[0], : depth.shape[1]].astype(np.float64)
        u, v = ((w - w.mean()) * step / self.config.focal for w in (u, v))
        rays = np.stack([u, v, np.ones_like(u)], axis=-1)
        plane = _support(rays, filled, there)
        normal = plane / np.linalg.norm(plane)
        points = rays * filled[..., None]
        height = (1 - points @ plane) / np.linalg.norm(plane)  # towards the camera
        across = np.cross(normal, [0.0, 1.0, 0.0])
        across /= np.linalg.norm(across)
        along = points @ np.stack([across, np.cross(normal, across)], axis=1)
        mine = _object(height, there, self.config.rise)
        return Relief(height.astype(np.float32), along.astype(np.float32), mine)

    def _picture(self, relief: Relief) -> Array:
        """Return the HOG of the heights in a square around the object, the lowest black, the highest white."""
        import cv2

        rows, columns = np.nonzero(relief.mine)
        (top, bottom), (left, right) = (np.percentile(x, [1, 99]).astype(int) for x in (rows, columns))
        half = max(bottom - top, right - left, 4) / 2 * 1.1
        middle = (left + right) / 2, (top + bottom) / 2
        scale = self._side / (2 * half)
        window = np.array(
            [[scale, 0, self._side / 2 - scale * middle[0]], [0, scale, self._side / 2 - scale * middle[1]]]
        )
        tall = max(float(np.percentile(relief.height[relief.mine], 98)), 1e-4)
        shade = np.where(relief.mine, 0.25 + 0.75 * np.clip(relief.height / tall, 0, 1), 0).astype(np.float32)
        picture = cv2.warpAffine(shade, window, (self._side, self._side), flags=cv2.INTER_LINEAR)
        return np.asarray(self._hog.compute((255 * picture).astype(np.uint8)), dtype=np.float32).ravel()


def _filled(depth: Array, there: NDArray[np.bool_]) -> Array:
    """Return the depth with each hole at its nearest neighbour's."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~there, return_distances=False, return_indices=True)
    return np.ascontiguousarray(depth[tuple(nearest)])


def _support(rays: NDArray[np.float64], depth: Array, there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return n (3,) with n · point = 1 on the support: the plane of most of the rim, by RANSAC in inverse depth."""
    rim = np.ones(depth.shape, dtype=bool)
    frame = [max(2, side // 10) for side in depth.shape]
    rim[frame[0] : -frame[0], frame[1] : -frame[1]] = False
    chosen = (rim & there) if (rim & there).sum() >= 20 else there
    ray, inverse = rays[chosen], 1.0 / depth[chosen].astype(np.float64)
    rng = np.random.default_rng(0)  # the same plane every time
    samples = rng.integers(0, len(ray), (TRIALS, 3))
    inner, within = ray[samples], 0.008 * float(np.median(inverse)) * inverse
    usable = np.abs(np.linalg.det(inner)) > 1e-7
    flat = np.array([0.0, 0.0, float(inverse.min())])  # facing the camera, behind everything: when there is no better
    planes = [flat, *np.linalg.solve(inner[usable], inverse[samples][usable][..., None])[..., 0]]
    votes = [(np.abs(ray @ n - inverse) < within).sum() for n in planes]
    best = planes[int(np.argmax(votes))]
    for _ in range(2):
        close = np.abs(ray @ best - inverse) < within
        if close.sum() < 10:
            break
        best = np.linalg.lstsq(ray[close], inverse[close], rcond=None)[0]
    return np.asarray(best)


def _object(height: NDArray[np.float64], there: NDArray[np.bool_], rise: float) -> NDArray[np.bool_]:
    """Return (H, W): the largest thing above the support, the middle counting most; everything when nothing is."""
    import cv2

    y, x = np.mgrid[-1 : 1 : height.shape[0] * 1j, -1 : 1 : height.shape[1] * 1j]
    weight = np.exp(-2 * (x**2 + y**2))
    for least in (rise, rise / 2):
        above = (height > least) & (height < 1.0)
        count, part = cv2.connectedComponents(above.astype(np.uint8))
        size = np.bincount(part.ravel(), weight.ravel(), count)[1:]
        if count > 1:
            found = part == 1 + int(np.argmax(size))
            if (found & there).sum() >= 12:
                return np.asarray(found)
    return there & (weight > 0.2) if (there & (weight > 0.2)).any() else there


def _shape(relief: Relief) -> Array:
    """Return slopes by height (LAYERS x SLOPES), and how long and broad the object is in each layer of its height."""
    height, mine = relief.height, relief.mine
    tall = max(float(np.percentile(height[mine], 98)), 1e-4)
    layer = np.clip(height / tall * LAYERS, 0, LAYERS - 1).astype(np.intp)
    slope = _slope(relief)
    bin_ = np.clip(slope * SLOPES, 0, SLOPES - 1e-3)
    low = bin_.astype(np.intp)
    out = np.zeros((LAYERS, SLOPES + 1))
    for index, share in ((low, 1 - (bin_ - low)), (low + 1, bin_ - low)):
        np.add.at(out, (layer[mine], index[mine]), share[mine])
    spread = np.concatenate([_extent(relief.along[mine & (layer == i)]) for i in range(LAYERS)])
    outline = spread / max(float(spread.max()), 1e-6)
    slopes = np.sqrt(out[:, :SLOPES].ravel() / max(float(out.sum()), 1e-9))
    return np.concatenate([unit(part.astype(np.float32)) for part in (slopes, outline)])


def _slope(relief: Relief) -> Array:
    """Return (H, W) the angle between surface and support: 0 parallel, 1 upright."""
    import cv2

    points = np.dstack([relief.along, relief.height]).astype(np.float32)
    smooth = cv2.GaussianBlur(points, (5, 5), 1.2)
    normal = np.cross(np.gradient(smooth, axis=1), np.gradient(smooth, axis=0))
    length = np.maximum(np.linalg.norm(normal, axis=-1), 1e-12)
    return np.asarray(np.arccos(np.clip(np.abs(normal[..., 2]) / length, 0, 1)) / (np.pi / 2), dtype=np.float32)


def _extent(along: Array) -> NDArray[np.float64]:
    """Return length and breadth (2,) m of points (N, 2), along their own axes."""
    if len(along) < 5:
        return np.zeros(2)
    centred = along - along.mean(axis=0)
    turned = centred @ np.linalg.eigh(centred.T @ centred)[1]
    low, high = np.percentile(turned, [3, 97], axis=0)
    return np.asarray((high - low)[::-1], dtype=np.float64)


def _metric(relief: Relief) -> Array:
    """Return height, length, breadth and mean height, each as a soft vote over lengths (4 * len(SIZES),)."""
    height = relief.height[relief.mine]
    lengths = np.array([np.percentile(height, 98), *_extent(relief.along[relief.mine]), height.mean()])
    apart = np.log(np.clip(lengths, SIZES[0], SIZES[-1]))[:, None] - np.log(SIZES)
    votes = np.exp(-0.5 * (apart / np.log(SIZES[1] / SIZES[0])) ** 2)
    return np.asarray(votes, dtype=np.float32).ravel()
