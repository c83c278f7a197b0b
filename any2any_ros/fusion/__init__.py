"""From similarities to one score a reference. One fusion a file, chosen by its `plug`."""

from any2any_ros.plugins import Registry
from any2any_ros.protocols import Fusion

FUSIONS: Registry[Fusion] = Registry("fusion", __name__, Fusion)
