"""What one job of a queue asks for, and what it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Claim:
    job: str
    """Its name, as the others are told it."""
    priority: int = 0
    created: float = 0.0
    """Unix time."""
    least: int = 1
    """spec.nodes.min."""
    most: int = 1
    """spec.nodes.max; 0 where it wants none for now."""
    able: frozenset[str] = frozenset()
    """Nodes that could have a worker of it, those that it holds among them."""
    held: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Node that it was granted -> since when, Unix time."""
    gives: tuple[str, ...] = ()
    """The nodes that it holds, in the order in which it would give them back."""
    dark: frozenset[str] = frozenset()
    """Those of them that are not Ready: they stay its own, and are not counted on."""
    occupied: frozenset[str] = frozenset()
    """Nodes with a pod of it that has not ended, whoever holds them now."""
    gain: float | None = None
    """What its last worker adds to its samples/s, as a part of what its workers do on average: 1 where it
    does as much as the others, 0 where the job is no faster for it. None where that is not known."""
