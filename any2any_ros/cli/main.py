"""The `any2any` command."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import sys
from typing import Any

from any2any_ros import share
from any2any_ros.errors import Any2AnyError

VERBS = {
    "demo": "simulate a town, map it, calibrate, drive it again while sensors fail, and write a report",
    "simulate": "simulate two laps through a town and write them as a KITTI folder",
    "simulate-tabletop": "simulate described objects on a table and write them as a GoLD folder",
    "bag": "convert a KITTI folder or a laser log to a rosbag2",
    "build-map": "make a map of reference places from a drive (KITTI folder, laser log, rosbag2)",
    "calibrate": "choose a fusion for a map and fit its confidence, on another drive through it",
    "adopt": "teach a map to be queried by a sensor that it lacks",
    "evaluate": "measure recall, with chance beside it, for every subset of the sensors",
    "train": "train heads that find the object a command means, and other networks",
    "replay": "publish a bag at its own speed, with sensors that fail and return",
    "bringup": "start the encoder and retrieval nodes for a map",
    "localize": "say where the robot is now, or why that cannot be said",
    "export": "write a pretrained encoder as an ONNX graph, which runs without PyTorch",
    "doctor": "show what is installed, which topics arrive, and why one does not",
}

EPILOGUE = """\
A first look:       any2any demo
On KITTI odometry:  any2any build-map KITTI MAP --sequence 00
                    any2any evaluate KITTI --sequence 00
On your robot:      any2any build-map my_bag MAP --topic camera=/front/image_raw --pose-topic /odom
                    any2any calibrate MAP another_bag
                    any2any bringup MAP          (or: ros2 launch any2any_ros place_recognition.launch.py map:=MAP)
When no data comes: any2any doctor
From Python:        docs/python.md

Exit codes: 0 done; 1 doctor found a problem, or a process of bringup --no-respawn ended; 2 wrong input or a missing
part, explained on one line; 130 ended by Ctrl-C.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command without its verbs' arguments, which are added when a verb is chosen."""
    top = argparse.ArgumentParser(
        prog="any2any",
        description="Place recognition and object grounding from whatever sensors are alive.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version of the package, and exit")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, what in VERBS.items():
        verbs.add_parser(verb, help=what, add_help=False)
    return top


class _Version(argparse.Action):
    """Prints the version. It is read from a file only then."""

    def __call__(self, parser: argparse.ArgumentParser, *values: Any) -> None:
        print(f"any2any_ros {share.version()}")
        parser.exit()


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the name of a file may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else arguments
    chosen, rest = parser().parse_args(words[:1]), words[1:]
    logging.basicConfig(format="%(message)s")  # long tasks log what they do
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
