"""Onboard place recognition and object grounding from whatever sensors are alive.

The path is extended so that a checkout finds the message classes that were generated and
installed elsewhere (`any2any_ros.msg`, `any2any_ros.srv`); nothing else belongs here.
"""

import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
