"""Make the CMake files in the ROS wheels from PyPI usable here.

They name the include folders of the Python and NumPy they were built with (/opt/python/...); this replaces
them by those of the Python that runs this script, in whose environment the wheels are.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

REPLACEMENTS = (
    (re.compile(r"/opt/python/[^;\"/]+/lib/[^;\"]+/numpy/_?core/include"), numpy.get_include()),
    (re.compile(r"/opt/python/[^;\"/]+/include/python[\d.]+"), sysconfig.get_path("include")),
)

for path in Path(sys.prefix, "share").glob("*/cmake/*.cmake"):
    text = old = path.read_text()
    for pattern, here in REPLACEMENTS:
        text = pattern.sub(here, text)
    if text != old:
        path.write_text(text)
