"""What every encoder's tests ask for."""

import os
import subprocess
import sys

import pytest

CHECKSUM = """
import sys, zlib, numpy as np
from any2any_ros import encoders
from any2any_ros.samples import Scan, Sound
g = np.random.default_rng(0)
print(zlib.crc32(encoders.build(sys.argv[1]).encode(eval(sys.argv[2])).tobytes()))
"""


@pytest.fixture
def checksum():
    """Return a function that encodes what an expression makes, in a process of its own with another hash seed."""

    def run(plug, expression, seed):
        command = [sys.executable, "-c", CHECKSUM, plug, expression]
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": ".", "OMP_NUM_THREADS": str(1 + seed)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    return run
