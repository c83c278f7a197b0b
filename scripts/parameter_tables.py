"""Write docs/parameters.md from the settings dataclasses, where every default stands: `make docs`."""

from pathlib import Path
from typing import Any

from any2any_ros import config, node_config
from any2any_ros.calibration.adoption import AdoptionConfig
from any2any_ros.calibration.fitting import CalibrationConfig
from any2any_ros.encoders import ENCODERS
from any2any_ros.encoders.networks.liploc_network import NetworkSize
from any2any_ros.geometry.refiner import RefinerConfig
from any2any_ros.hearing import TRANSCRIBERS
from any2any_ros.hearing.endpoint import EndpointConfig
from any2any_ros.learning.cox import CoxConfig
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.learning.liploc import TrainingConfig
from any2any_ros.learning.liploc_pairs import VariationConfig
from any2any_ros.localization.guard import GuardConfig
from any2any_ros.localization.handover import HandoverConfig
from any2any_ros.localization.hypotheses import FollowConfig
from any2any_ros.objects.object_memory import MemoryConfig
from any2any_ros.objects.proposals import ProposalConfig
from any2any_ros.trust.confidence import ConfidenceConfig
from any2any_ros.workflows.train_cox import PairsConfig
from any2any_ros.workflows.train_liploc import HeldOutConfig

PAGE = Path(__file__).resolve().parents[1] / "docs" / "parameters.md"
HEAD = """\
# Parameters

Made by `make docs` from the settings dataclasses in the code; a test holds that it is up to date. As ROS parameters:
`-p name:=value`, or a YAML file. As flags: `--name value`. Each is fixed once its node is configured, except `k`,
`filter` and `source_timeouts.<modality>`: a running retrieval node takes them from `ros2 param set`, too. What would
have no effect is refused.
"""


def tables() -> str:
    """Return the whole page."""
    parts = [HEAD, "## Retrieval node\n"]
    parts += [_table(c) for c in (node_config.RetrievalNodeConfig, config.AliveConfig, config.RetrievalConfig)]
    parts += [
        "`source_timeouts.<modality>` overrides `source_timeout`; `hit_radius` is the map's notion of one place.\n"
    ]
    parts += ["## Localization node\n"]
    parts += [_table(c) for c in (node_config.LocalizationNodeConfig, GuardConfig, FollowConfig, HandoverConfig)]
    parts += ["## Encoder nodes\n", _table(node_config.EncoderNodeConfig)]
    for name in ENCODERS.names():
        parts += [f"### `settings.*` of encoder `{name}`\n", _table(ENCODERS.find(name).Config)]
    parts += ["## Grounding node\n", _table(node_config.GroundingNodeConfig)]
    parts += ["### `memory.*`\n", _table(MemoryConfig), "### `proposals.*`\n", _table(ProposalConfig)]
    parts += ["### Hearing\n", _table(EndpointConfig)]
    for name in TRANSCRIBERS.names():
        parts += [f"### Recogniser `{name}`\n", _table(TRANSCRIBERS.find(name).Config)]
    parts += ["## All of them\n", _table(node_config.ManagedNodeConfig), "`use_sim_time` (false).\n"]
    parts += ["## Commands\n"]
    for title, cls in (
        ("What counts as a place: `build-map`, `calibrate`, `evaluate`", config.PlaceConfig),
        ("`calibrate`", CalibrationConfig),
        ("`calibrate`: what the robot is promised", ConfidenceConfig),
        ("`calibrate`: refinement, for a map with scans", RefinerConfig),
        ("`adopt`", AdoptionConfig),
        ("`train emma`, `train calmrl`", EmmaConfig),
        ("`train cox`", PairsConfig),
        ("`train cox`, the method", CoxConfig),
        ("`train liploc`", TrainingConfig),
        ("`train liploc`, the networks", NetworkSize),
        ("`train liploc`, how pictures and scans vary", VariationConfig),
        ("`train liploc`, what stops it", HeldOutConfig),
        ("`replay`", node_config.ReplayConfig),
    ):
        parts += [f"### {title}\n", _table(cls)]
    return "\n".join(parts)


def _table(cls: type[Any]) -> str:
    rows = [f"| `{f.name}` | {_shown(f.default)} | {_cell(config.describe(f))} |" for f in config.fields(cls)]
    return "\n".join(["| name | default | what |", "|---|---|---|", *rows]) + "\n"


def _shown(value: Any) -> str:
    return "" if value in ("", ()) else f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(tables(), "utf-8")
    print(PAGE)
