"""Start the encoder and retrieval nodes for a map, each as a process of its own, until Ctrl-C.

    any2any bringup MAP
    any2any bringup MAP --params config/my_robot.yaml --image-transport compressed
    any2any bringup MAP --modality camera --modality lidar --use-sim-time
    any2any bringup MAP --localization --odometry /odom --publish-tf
    any2any bringup MAP --namespace robot_a

The encoders listen to the topics that the map was made from, unless --topic says otherwise.

This starts the same processes as `ros2 launch any2any_ros place_recognition.launch.py map:=MAP`, for systems without
the ros2 command. A process that ends is started again: at once, or after a second if it had just been started. One that
ends with 2 is not, because its parameters are wrong. The others go on without it; when none is left, bringup ends with
2, too.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from any2any_ros.cli import _arguments
from any2any_ros.config import BAD_PARAMETERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import EncoderNodeConfig
from any2any_ros.nodes import session

LOOK = 0.1  # s between two looks at the processes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", metavar="MAP", help="folder of the map")
    parser.add_argument(
        "--modality", action="append", default=[], metavar="NAME", help="encode this modality only; repeat for several"
    )
    parser.add_argument(
        "--params", type=_arguments.existing, metavar="YAML", help="file of ROS parameters; they override the defaults"
    )
    parser.add_argument(
        "--image-transport",
        choices=("raw", "compressed"),
        default="",
        help="which image topics are subscribed to (default: as in the map)",
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="NAME=TOPIC",
        help="topic of a modality, e.g. camera=/front/image_raw; repeat for several (default: the map's)",
    )
    parser.add_argument(
        "--odometry",
        metavar="TOPIC",
        default="",
        help="topic of nav_msgs/Odometry, or two frames of /tf as /tf:odom.base_link, for encoders that put the last "
        f"metres together (default {EncoderNodeConfig.odometry})",
    )
    parser.add_argument(
        "--localization", action="store_true", help="also say where the robot is, by several answers along its way"
    )
    parser.add_argument("--publish-tf", action="store_true", help="with --localization: publish map -> odom")
    parser.add_argument(
        "--initial-pose", action="store_true", help="with --localization: tell another localizer on initialpose"
    )
    parser.add_argument(
        "--namespace", default="", metavar="NAME",
        help="namespace of all nodes, and of the topics they use, /tf and /tf_static among them",
    )  # fmt: skip
    parser.add_argument("--use-sim-time", action="store_true", help="take the time from /clock; needed for a replay")
    parser.add_argument(
        "--logs", type=Path, metavar="FOLDER", help="write one log file for each process, instead of to the terminal"
    )
    parser.add_argument(
        "--no-respawn",
        action="store_true",
        help="end with exit code 1 when a process ends, instead of starting it again",
    )
    _arguments.add_profile_argument(parser)
    _arguments.add_allow_argument(parser)
    parser.set_defaults(dds_profile="robot")


def run(arguments: argparse.Namespace) -> int:
    session.require_ros()
    from any2any_ros.nodes import topology
    from any2any_ros.nodes.bringup import Bringup
    from any2any_ros.nodes.restarts import Restarts
    from any2any_ros.nodes.runtime import Stop

    processes = topology.place_recognition(
        arguments.map,
        arguments.modality,
        use_sim_time=arguments.use_sim_time,
        image_transport=arguments.image_transport,
        topics=_arguments.pairs(arguments.topic, "--topic"),
        odometry=arguments.odometry,
    )
    if arguments.localization:
        wanted = {name: getattr(arguments, name) for name in ("publish_tf", "initial_pose", "use_sim_time")}
        processes += topology.localization(arguments.odometry, **wanted)
    elif arguments.publish_tf or arguments.initial_pose:
        why = "nobody knows then where the robot is"
        raise Any2AnyError("--publish-tf and --initial-pose cannot be used alone", why, "Add --localization")
    processes = topology.within(processes, arguments.namespace)
    stop = Stop()
    environment = topology.environment(arguments.dds_profile)
    with Bringup(processes, environment, arguments.params, arguments.logs) as system:
        print(f"{len(processes)} processes: {', '.join(p.name for p in processes)}; Ctrl-C ends them", flush=True)
        restarts = Restarts([process.name for process in processes], time.monotonic())
        while not stop and system.running:
            time.sleep(LOOK)
            now = time.monotonic()
            for name, code in system.ended().items():
                wrong = code == BAD_PARAMETERS
                if restarts.ended(name, now):
                    print(f"{name} ended with {code}" + (": its parameters are wrong" if wrong else ""), flush=True)
                if arguments.no_respawn:
                    return 1
                if wrong:
                    restarts.forget(name)
                    system.forget(name)
            for name in restarts.due(now):
                system.start(name)
                restarts.started(name, now)
        return 0 if system.running else BAD_PARAMETERS
