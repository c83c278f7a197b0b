"""Train heads for described objects, a new sensor, or a network for camera and LiDAR.

    any2any train emma GOLD MODEL            heads by which a command, typed or spoken, finds the object it means
    any2any train emma out/tabletop MODEL --modality text --modality camera --modality depth
    any2any train calmrl GOLD MODEL          the same heads by CalMRL's loss: no classes, missing modalities imputed
    any2any train cox GOLD MODEL --new camera --pairs 0.03      a new sensor, from few pairs with known sensors
    any2any train liploc KITTI WEIGHTS --sequence 00 --sequence 05      one embedding space for camera and LiDAR

GOLD is a GoLD folder, recorded or simulated (any2any simulate-tabletop), or a file of encoded objects. Whole objects of
every class are held out: some to stop the training and to calibrate, some to test. The tables show the test, with
chance beside it.

emma and calmrl write the folder MODEL for the grounding node: heads, encoders, calibration, training.json (settings and
figures), and the learning curve as a picture. cox, which is experimental, writes cox.npz and training.json.
liploc reads KITTI folders, and writes best.pth (for the encoders liploc and liploc_camera), training.json and the
learning curve (docs/liploc.md). Ctrl-C ends a training and keeps the best state so far. The same --seed gives the same
split and the same result. The settings of each: any2any train METHOD --help
"""

from __future__ import annotations

import argparse
import sys

from any2any_ros import extras
from any2any_ros.cli import _train_liploc, _train_objects

METHODS = {
    "emma": "heads that give text, speech, colour and depth one embedding space, by EMMA's losses",
    "calmrl": "the same heads by CalMRL's loss, from objects whose missing modalities are imputed",
    "cox": "a new sensor, from few pairs with known sensors (experimental)",
    "liploc": "camera and LiDAR for one embedding space, from drives that recorded both",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    methods = parser.add_subparsers(dest="method", metavar="METHOD", required=True, help="what is trained")
    for method, what in METHODS.items():
        own = methods.add_parser(method, help=what, description=f"Train {what}.")
        if method == "liploc":
            _train_liploc.add_arguments(own)
        elif method == "cox":
            _train_objects.add_cox_arguments(own)
        else:
            _train_objects.add_head_arguments(own, method)


def run(arguments: argparse.Namespace) -> int:
    if arguments.method == "cox":
        return _train_objects.run_cox(arguments)
    if "matplotlib" in extras.missing("report"):
        print("The learning curve will not be drawn: pip install 'any2any_ros[report]' would add it", file=sys.stderr)
    return (_train_liploc.run if arguments.method == "liploc" else _train_objects.run_heads)(arguments)
