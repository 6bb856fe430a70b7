"""What is experimental, and whether the chart has it."""

from edgetrain_protocol.base import Document


class FeatureGates(Document):
    """The chart's `featureGates`. What is behind one may change or go from one version to the next."""

    grouping: bool = False
    """`strategy.grouping` other than `all`."""
