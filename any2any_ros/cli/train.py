"""Train what is learnt from data of described objects.

    any2any train emma GOLD MODEL            heads by which a command, typed or spoken, finds the object it means
    any2any train emma out/tabletop MODEL --modality text --modality camera --modality depth
    any2any train calmrl GOLD MODEL          the same by CalMRL's loss, without classes; what is missing is imputed
    any2any train cox GOLD MODEL --new camera --pairs 0.03      a new sensor, taught by few pairs with known ones
    any2any train liploc KITTI WEIGHTS --sequence 00 --sequence 05      camera and LiDAR in one space, from drives

GOLD is a GoLD folder: the recorded one, or one of `any2any simulate-tabletop` (or what objects/views.py saved).
Whole objects, of every class, are set aside: some to stop in time by and to calibrate with, some for the test, whose
tables are printed with chance beside them. Of emma and calmrl, MODEL becomes a folder for the grounding node: heads,
encoders, calibration; settings and figures in training.json, and the learning curves as a picture. Ctrl-C keeps the
best heads so far. cox, which is experimental, writes cox.npz, cox.json and training.json. liploc reads KITTI folders,
and writes best.pth for the encoders liploc and liploc_camera, training.json and the learning curve (docs/liploc.md).
The same --seed gives the same split and the same result. Settings of each: any2any train METHOD --help
"""

from __future__ import annotations

import argparse
import sys

from any2any_ros import extras
from any2any_ros.cli import _train_liploc, _train_objects

METHODS = {
    "emma": "heads of one space for text, speech, colour and depth, by EMMA's losses",
    "calmrl": "the same heads, by CalMRL's loss, from incomplete objects with what is missing imputed",
    "cox": "a new sensor that few pairs connect with known ones (experimental)",
    "liploc": "camera and LiDAR in one space, from drives that recorded both",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    methods = parser.add_subparsers(dest="method", metavar="METHOD", required=True, help="what is trained:")
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
        print("No picture of the learning curve: it takes pip install 'any2any_ros[report]'", file=sys.stderr)
    return (_train_liploc.run if arguments.method == "liploc" else _train_objects.run_heads)(arguments)
