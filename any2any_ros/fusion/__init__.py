"""From the similarities of the observed pairs to one score for each reference. One fusion a file, chosen by its `plug`.

Every fusion is a `protocols.Fusion`: `fit` takes similarities (Q, R, Mq, Mr) of calibration queries with labels (Q, R),
`score` turns (..., R, Mq, Mr) into (..., R). NaN = missing. Higher scores are better. A score is NaN where no pair was
observed.
"""

from any2any_ros.plugins import Registry
from any2any_ros.protocols import Fusion

FUSIONS: Registry[Fusion] = Registry("fusion", __name__, Fusion)
