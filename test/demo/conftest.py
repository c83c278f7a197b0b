"""The live demo speaks ROS on loopback, on a domain of this run's own."""

import os
import random

from any2any_ros.nodes import topology

os.environ.update(topology.environment("loopback"), ROS_DOMAIN_ID=str(random.randint(1, 100)))
