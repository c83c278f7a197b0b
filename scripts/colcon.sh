#!/usr/bin/env bash
# Builds the package with colcon, as on a robot: with the ROS 2 that is sourced, or else that of .venv-colcon.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/colcon

if [ -z "${AMENT_PREFIX_PATH:-}" ]; then
    unset PYTHONPATH LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
    export VIRTUAL_ENV=$PWD/.venv-colcon PATH=$PWD/.venv-colcon/bin:$PATH
    export AMENT_PREFIX_PATH=$VIRTUAL_ENV CMAKE_PREFIX_PATH=$VIRTUAL_ENV CMAKE_GENERATOR=Ninja
elif ! command -v colcon >/dev/null; then
    echo "missing here: sudo apt install python3-colcon-common-extensions" >&2
    exit 1
fi

# Through a link, or CMake takes .venv-colcon for a folder of this package and refuses NumPy's headers in it.
mkdir -p $out/src
ln -sfn "$PWD" $out/src/any2any_ros

# Errors only: colcon warns that wheels bring no setup files.
colcon --log-level error --log-base $out/log build --base-paths $out/src \
    --build-base $out/build --install-base $out/install \
    --cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE="$(command -v python3)"
echo "installed: source $PWD/$out/install/setup.bash"
