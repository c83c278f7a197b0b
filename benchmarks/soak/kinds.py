"""The kinds of faults: what each one does to the robot, what must not overlap with it, and how it must be named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SENSORS = ("camera", "lidar", "audio")  # those with stamps
TEXT = "text"  # captions have no stamps, and come less often
SOURCE_TIMEOUT = 2.0  # s, the nodes' default
CYCLE = 0.1  # s between two moments
ALLOWANCE = SOURCE_TIMEOUT + CYCLE  # s after a fault's begin in which rankings may be skipped
BACK = 3.0  # s that a killed retrieval node has to be back
BACK_AT_TABLE = 5.0  # s that a killed grounding node has
RESTING = 5.0  # s after a starvation that still count as starved

SYSTEM, SIMULATED = "system clock", "simulated clock"


@dataclass(frozen=True)
class Cause:
    """What /diagnostics must say: a line whose name fits `line` says `text`, at WARN or ERROR.

    Both are regular expressions; `{sensor}` stands for the fault's sensor. rate: or else the line shows a rate of at
    least so many Hz. silence: or else the line itself stops, because the process that writes it is gone.
    """

    line: str
    text: str = ""
    rate: float = 0.0
    silence: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    says: what happens, for the page. causes: any one of them names it. clock: the chapter it needs; "": any. hits:
    one SENSOR, ALL sensors, a certain one, or none (""). alone: faults of one such name never overlap. disturbs:
    whether it may cost rankings within ALLOWANCE. kills: whether a process is killed. seconds: its shortest length.
    """

    name: str
    says: str
    causes: tuple[Cause, ...]
    clock: str = ""
    hits: str = ""
    alone: str = ""
    disturbs: bool = True
    kills: bool = False
    seconds: float = 6.0


SENSOR, ALL = "sensor", "all"
ENCODER, RETRIEVAL, ANSWERS = "{sensor}_encoder: {sensor}", "retrieval: {sensor}", "retrieval: answers"
MAP, OBJECTS = "retrieval: map", "grounding: objects"
STALE, CLOCK, BUSY = (
    Cause(RETRIEVAL, "stale|never received"),
    Cause(".*: clock", "clock"),
    Cause(".*: process", "waits for a processor"),
)


def _sensor(name: str, says: str, *causes: Cause, **more: Any) -> Kind:
    return Kind(name, says, causes, hits=more.pop("hits", SENSOR), **more)


def _harmless(name: str, says: str, alone: str, *causes: Cause) -> Kind:
    return Kind(name, says, causes, alone=alone, disturbs=False)


def _clock(name: str, says: str, seconds: float = 6.0) -> Kind:
    return Kind(name, says, (CLOCK,), SIMULATED, alone="clock", seconds=seconds)


_KINDS = (
    _sensor("sensor_silent", "its driver is up and sends nothing", STALE, Cause(ENCODER, "no message arrives")),
    _sensor("driver_gone", "its driver ends", STALE, Cause(ENCODER, "nobody publishes")),
    _sensor("all_silent", "no sensor sends anything", Cause(ANSWERS, "no sensor is alive"), hits=ALL),
    _sensor("encoder_killed", "its encoder's process gets SIGKILL", STALE, Cause(ENCODER, silence=True),
            Cause("{sensor}_encoder: process", "started again"), kills=True),
    _sensor("encoder_frozen", "its encoder's process is stopped, and goes on later", STALE),
    _sensor("late", "its messages arrive half a second late", Cause(RETRIEVAL, "late|behind")),
    _sensor("duplicated", "every message is sent twice", Cause(RETRIEVAL, "came twice|stand still"), disturbs=False),
    _sensor("reordered", "of three messages, the second and the third overtake the first",
            Cause(RETRIEVAL, "out of the order"), Cause(ENCODER, "out of order")),
    _sensor("garbage", "half of its messages are garbage", Cause(ENCODER, "refused")),
    _sensor("bad_stamps", "its stamps are of the past, the future, zero or the largest",
            Cause(RETRIEVAL, "stamps are|stand still")),
    _sensor("wrong_qos", "its driver offers another QoS than the encoder wants", Cause(ENCODER, "QoS"), hits="audio"),
    _sensor("ten_times", "its messages come at 100 Hz", Cause(ENCODER, rate=50.0),
            disturbs=False),
    Kind("retrieval_killed", "the retrieval node's process gets SIGKILL",
         (Cause("retrieval: .*", silence=True), Cause("retrieval: process", "started again")),
         kills=True, alone="retrieval"),
    Kind("cpu_starved", "twice as many processes as cores compute for nothing", (BUSY,), alone="cpu"),
    _harmless("wrong_qos_embeddings", "another node offers embeddings in another QoS", "rogue", Cause(ANSWERS, "QoS")),
    _harmless("false_fingerprint", "another node sends embeddings of another encoder", "rogue",
              Cause("retrieval: .*", "refused")),
    _harmless("no_fingerprint", "another node sends embeddings without a fingerprint", "rogue",
              Cause("retrieval: .*", "refused")),
    _harmless("map_swaps", "the map is replaced by another good one, every second", "retrieval"),
    _harmless("broken_maps", "damaged maps are offered", "retrieval", Cause(MAP, "Cannot read")),
    _harmless("disk_full", "the map is saved, and no file may grow", "retrieval", Cause(MAP, "Cannot write")),
    Kind("grounding_killed", "the grounding node's process gets SIGKILL",
         (Cause("grounding: .*", silence=True), Cause("grounding: process", "started again")),
         kills=True, alone="table", disturbs=False),
    _harmless("table_silent", "the colour camera at the table sends nothing", "table", Cause(OBJECTS, "depth alone")),
    _harmless("table_garbage", "half of the pictures of the table are garbage", "table", Cause(OBJECTS, "refused")),
    _clock("clock_back", "/clock jumps back by half a minute", 4.0),
    _clock("clock_ahead", "/clock jumps ahead by half a minute", 4.0),
    _clock("clock_stopped", "/clock stops, and the sensors go on"),
    _clock("clock_nonsense", "another node publishes zero and negative times on /clock"),
    _clock("bag_loops", "stamps and /clock jump back every few seconds"),
)  # fmt: skip
KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
