"""A depth image of one object without weights: its height above its support, as an image, as slopes, and in metres.

On a plane, inverse depth is linear in the pixel position, wherever the optical axis is. So the support can be found in
a crop whose position in the whole image is unknown: by RANSAC on the rim of the crop. What rises above the support is
the object. Heights above the support and lengths along it do not depend on the distance of the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.encoders._edges import hog, whole_cells
from any2any_ros.errors import Any2AnyError

TRIALS = 60  # of RANSAC
FARTHEST = 50.0  # m; a larger depth is an error of the sensor
NARROWEST = 3  # px of a reduced crop: a surface has a slope in both directions
LONGER_SIDE = 128  # px that a crop is reduced to: more costs time and adds nothing
SIZES = np.geomspace(0.008, 0.5, 14)  # m, centres of the bins of a length
SLOPES, LAYERS = 8, 4  # bins of the angle between surface and support, and of the height


@dataclass(frozen=True)
class DepthConfig(Settings):
    """Settings of the descriptor of an object's depth."""

    focal: float = setting(525.0, "focal length of the depth camera", unit="px", minimum=10, maximum=10000)
    size: int = setting(96, "width and height of the image of heights", unit="px", minimum=32, maximum=512)
    picture: float = setting(1.0, "weight of the image of heights", minimum=0, maximum=10)
    shape: float = setting(1.0, "weight of slopes and outline", minimum=0, maximum=10)
    metric: float = setting(1.0, "weight of the sizes in metres", minimum=0, maximum=10)
    rise: float = setting(
        0.006, "height above the support below which a pixel belongs to the support", unit="m", minimum=0.0005,
        maximum=0.5,
    )  # fmt: skip
    known: float = setting(0.1, "a crop with a smaller share of measured pixels is refused", minimum=0.001, maximum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.picture or self.shape or self.metric):
            raise Any2AnyError(
                "The settings of the depth descriptor leave nothing to encode",
                "all weights are 0",
                "Raise one of picture, shape and metric",
            )


@dataclass(frozen=True, eq=False)
class Relief:
    """An object on its support: height (H, W) above it and position along it (H, W, 2), both in metres, and the mask
    (H, W) of the object's pixels."""

    height: Array
    along: Array
    mask: Flags


class DepthEncoder(BaseEncoder[DepthConfig]):
    """Cost: 4-10 ms. Invariant to distance, to holes, and to the position of the crop in the whole image."""

    plug = "depth"
    modality = "depth"
    accepts = "depth"
    topic = "object/depth"
    Config = DepthConfig

    def __init__(self, config: DepthConfig = DepthConfig()) -> None:
        super().__init__(config)
        self._side = whole_cells(config.size)
        self._hog = hog(self._side, self._side)

    @property
    def dimension(self) -> int:
        return int(self._hog.getDescriptorSize()) + SLOPES * LAYERS + 2 * LAYERS + 4 * len(SIZES)

    @property
    def focal(self) -> float:
        return self.config.focal

    def encode(self, sample: Array) -> Array:
        """Return (dimension,) for a crop (H, W) of depth in metres, NaN: hole.

        Raises Any2AnyError when too few pixels were measured, and when the crop is a strip.
        """
        depth = np.asarray(sample, dtype=np.float32)
        measured = (depth > 0) & (depth < FARTHEST)
        if measured.sum() < max(50, self.config.known * depth.size):
            raise Any2AnyError(
                "Cannot use a depth image",
                f"{measured.sum()} of its {depth.size} pixels were measured",
                "Go nearer, or away from sunlight and mirrors",
            )
        relief = self._relief(depth, measured)
        c = self.config
        parts = (
            c.picture * unit_vector(self._picture(relief)),
            c.shape * unit_vector(_shape(relief)),
            c.metric * unit_vector(_metric(relief)),
        )
        return unit_vector(np.concatenate(parts))

    def _relief(self, depth: Array, measured: Flags) -> Relief:
        """Return the object above its support."""
        import cv2

        step = max(1, round(max(depth.shape) / LONGER_SIDE))
        depth, measured = depth[::step, ::step], measured[::step, ::step]
        if min(depth.shape) < NARROWEST:
            height, width = measured.shape
            raise Any2AnyError(
                "Cannot use a depth image", f"it is {width}x{height} pixels after reduction", "Give a wider crop"
            )
        filled = np.asarray(cv2.medianBlur(_filled(depth, measured), 3), dtype=np.float32)
        v, u = np.mgrid[: depth.shape[0], : depth.shape[1]].astype(np.float64)
        u, v = ((w - w.mean()) * step / self.config.focal for w in (u, v))
        rays = np.stack([u, v, np.ones_like(u)], axis=-1)
        plane = _support(rays, filled, measured)
        normal = plane / np.linalg.norm(plane)
        points = rays * filled[..., None]
        height = (1 - points @ plane) / np.linalg.norm(plane)  # towards the camera
        across = np.cross(normal, [0.0, 1.0, 0.0])
        across /= np.linalg.norm(across)
        along = points @ np.stack([across, np.cross(normal, across)], axis=1)
        mask = _object_mask(height, measured, self.config.rise)
        return Relief(height.astype(np.float32), along.astype(np.float32), mask)

    def _picture(self, relief: Relief) -> Array:
        """Return the HOG of the heights in a square around the object, from dark (low) to bright (high)."""
        import cv2

        rows, columns = np.nonzero(relief.mask)
        (top, bottom), (left, right) = (np.percentile(x, [1, 99]).astype(int) for x in (rows, columns))
        half = max(bottom - top, right - left, 4) / 2 * 1.1
        middle = (left + right) / 2, (top + bottom) / 2
        scale = self._side / (2 * half)
        window = np.array(
            [[scale, 0, self._side / 2 - scale * middle[0]], [0, scale, self._side / 2 - scale * middle[1]]]
        )
        shade = np.where(relief.mask, 0.25 + 0.75 * np.clip(relief.height / _top(relief), 0, 1), 0).astype(np.float32)
        image = cv2.warpAffine(shade, window, (self._side, self._side), flags=cv2.INTER_LINEAR)
        return np.asarray(self._hog.compute((255 * image).astype(np.uint8)), dtype=np.float32).ravel()


def _filled(depth: Array, measured: Flags) -> Array:
    """Return the depth with each hole at the value of its nearest measured pixel."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~measured, return_distances=False, return_indices=True)
    return np.ascontiguousarray(depth[tuple(nearest)])


def _support(rays: Float64, depth: Array, measured: Flags) -> Float64:
    """Return the plane n (3,), n · point = 1, of most pixels of the rim: RANSAC in inverse depth, then least squares.

    rays (H, W, 3): the point at depth 1 of each pixel.
    """
    rim = np.ones(depth.shape, dtype=bool)
    frame = [max(2, side // 10) for side in depth.shape]
    rim[frame[0] : -frame[0], frame[1] : -frame[1]] = False
    used = (rim & measured) if (rim & measured).sum() >= 20 else measured
    ray, inverse = rays[used], 1.0 / depth[used].astype(np.float64)
    rng = np.random.default_rng(0)  # the same plane every time
    samples = rng.integers(0, len(ray), (TRIALS, 3))
    corners, tolerance = ray[samples], 0.008 * float(np.median(inverse)) * inverse
    usable = np.abs(np.linalg.det(corners)) > 1e-7
    fallback = np.array([0.0, 0.0, float(inverse.min())])  # faces the camera, behind everything
    planes = [fallback, *np.linalg.solve(corners[usable], inverse[samples][usable][..., None])[..., 0]]
    votes = [(np.abs(ray @ n - inverse) < tolerance).sum() for n in planes]
    best = planes[int(np.argmax(votes))]
    for _ in range(2):
        close = np.abs(ray @ best - inverse) < tolerance
        if close.sum() < 10:
            break
        best = np.linalg.lstsq(ray[close], inverse[close], rcond=None)[0]
    return np.asarray(best)


def _object_mask(height: Float64, measured: Flags, rise: float) -> Flags:
    """Return the pixels (H, W) of the largest part above the support, weighted towards the middle of the crop.

    Where nothing rises above the support, return the measured pixels of the middle.
    """
    import cv2

    y, x = np.mgrid[-1 : 1 : height.shape[0] * 1j, -1 : 1 : height.shape[1] * 1j]
    weight = np.exp(-2 * (x**2 + y**2))
    for lowest in (rise, rise / 2):
        above = (height > lowest) & (height < 1.0)
        count, part = cv2.connectedComponents(above.astype(np.uint8))
        size = np.bincount(part.ravel(), weight.ravel(), count)[1:]
        if count > 1:
            mask = part == 1 + int(np.argmax(size))
            if (mask & measured).sum() >= 12:
                return np.asarray(mask)
    middle = measured & (weight > 0.2)
    return middle if middle.any() else measured


def _top(relief: Relief) -> float:
    """Return the height of the object in metres."""
    return max(float(np.percentile(relief.height[relief.mask], 98)), 1e-4)


def _shape(relief: Relief) -> Array:
    """Return the slopes in each layer of height (LAYERS * SLOPES) and the extent of each layer (2 * LAYERS)."""
    mask = relief.mask
    layer = np.clip(relief.height / _top(relief) * LAYERS, 0, LAYERS - 1).astype(np.intp)
    position = np.clip(_slope(relief) * SLOPES, 0, SLOPES - 1e-3)
    low = position.astype(np.intp)
    out = np.zeros((LAYERS, SLOPES + 1))
    for index, share in ((low, 1 - (position - low)), (low + 1, position - low)):
        np.add.at(out, (layer[mask], index[mask]), share[mask])
    extents = np.concatenate([_extent(relief.along[mask & (layer == i)]) for i in range(LAYERS)])
    outline = extents / max(float(extents.max()), 1e-6)
    slopes = np.sqrt(out[:, :SLOPES].ravel() / max(float(out.sum()), 1e-9))
    return np.concatenate([unit_vector(part.astype(np.float32)) for part in (slopes, outline)])


def _slope(relief: Relief) -> Array:
    """Return the angle (H, W) between surface and support: 0 parallel, 1 perpendicular."""
    import cv2

    points = np.dstack([relief.along, relief.height]).astype(np.float32)
    smooth = cv2.GaussianBlur(points, (5, 5), 1.2)
    normal = np.cross(np.gradient(smooth, axis=1), np.gradient(smooth, axis=0))
    length = np.maximum(np.linalg.norm(normal, axis=-1), 1e-12)
    return np.asarray(np.arccos(np.clip(np.abs(normal[..., 2]) / length, 0, 1)) / (np.pi / 2), dtype=np.float32)


def _extent(along: Array) -> Float64:
    """Return length and breadth (2,) in metres of points (N, 2), along their principal axes."""
    if len(along) < 5:
        return np.zeros(2)
    centred = along - along.mean(axis=0)
    turned = centred @ np.linalg.eigh(centred.T @ centred)[1]
    low, high = np.percentile(turned, [3, 97], axis=0)
    return np.asarray((high - low)[::-1], dtype=np.float64)


def _metric(relief: Relief) -> Array:
    """Return height, length, breadth and mean height, each as a soft vote over SIZES (4 * len(SIZES),)."""
    height = relief.height[relief.mask]
    lengths = np.array([np.percentile(height, 98), *_extent(relief.along[relief.mask]), height.mean()])
    apart = np.log(np.clip(lengths, SIZES[0], SIZES[-1]))[:, None] - np.log(SIZES)
    votes = np.exp(-0.5 * (apart / np.log(SIZES[1] / SIZES[0])) ** 2)
    return np.asarray(votes, dtype=np.float32).ravel()
