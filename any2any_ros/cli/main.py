"""The `any2any` command."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys

from any2any_ros.errors import Any2AnyError

VERBS = {
    "demo": "the whole story in one command: simulate, map, calibrate, drive, lose sensors, report",
    "simulate": "drive through a simulated town and write it as a KITTI folder",
    "simulate-tabletop": "set a simulated table with described objects and write it as a GoLD folder",
    "bag": "turn a KITTI folder or a laser log into a rosbag2",
    "build-map": "turn a drive (KITTI folder, laser log, rosbag2) into a map of reference places",
    "calibrate": "learn from another drive how to fuse the sensors, and how far to trust the answer",
    "adopt": "teach a sensor that the map lacks to localize in it, from what the others recognise",
    "evaluate": "measure recall, with chance beside it, for every subset of the sensors",
    "train": "learn heads that find the object a command means, typed or spoken",
    "replay": "publish a bag in its own time, with sensors dying and returning",
    "bringup": "start the encoder and retrieval nodes for a map",
    "export": "write a pretrained encoder as an ONNX graph, which runs without PyTorch",
    "doctor": "tell what is installed, which topics come, and why one does not",
}

EPILOGUE = """\
A first look:       any2any demo
On KITTI odometry:  any2any build-map KITTI MAP --sequence 00
                    any2any evaluate KITTI --sequence 00
On your robot:      any2any build-map my_bag MAP --topic camera=/front/image_raw --pose-topic /odom
                    any2any calibrate MAP another_bag
                    any2any bringup MAP          (or: ros2 launch any2any_ros place_recognition.launch.py map:=MAP)
When no data comes: any2any doctor

Exit codes: 0 done, 2 something to mend (said on one line), 130 ended by Ctrl-C.
"""


def parser() -> argparse.ArgumentParser:
    """Return the whole command line; a verb's own part is built when it is chosen."""
    top = argparse.ArgumentParser(
        prog="any2any",
        description="Place recognition from whatever sensors are alive.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, what in VERBS.items():
        verbs.add_parser(verb, help=what, add_help=False)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    chosen, rest = parser().parse_args(given[:1]), given[1:]
    logging.basicConfig(format="%(message)s")  # what takes long says so
    logging.getLogger("any2any_ros").setLevel(logging.INFO)
    module = importlib.import_module(f"any2any_ros.cli.{chosen.verb.replace('-', '_')}")
    verb = argparse.ArgumentParser(
        prog=f"any2any {chosen.verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    try:
        module.add_arguments(verb)
        return int(module.run(verb.parse_args(rest)) or 0)
    except (Any2AnyError, OSError) as error:  # OSError: a full disk, a folder without permission
        print(f"any2any {chosen.verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"any2any {chosen.verb}: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
