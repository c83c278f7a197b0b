#!/usr/bin/env bash
# Names what this machine lacks and how to get it, before something obscure fails.
set -euo pipefail
python=${1:-python3}

need() { # need WHAT APT_PACKAGE COMMAND...
    "${@:3}" >/dev/null 2>&1 || { echo "$1 is missing here: sudo apt install $2" >&2; exit 1; }
}

need "$python" python3 command -v "$python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    { echo "$python is too old: give Python 3.10 or newer, e.g. make PYTHON=python3.12" >&2; exit 1; }
need "Python's venv" python3-venv "$python" -c 'import ensurepip, venv'
need Python.h python3-dev "$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
need gcc build-essential command -v gcc
need g++ build-essential command -v g++
