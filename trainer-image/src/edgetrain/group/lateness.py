"""Who is alive and keeps all others waiting. Pure."""

from edgetrain.group.members import Formation
from edgetrain.group.view import View

LATE_SECONDS = 2.0
LATE_STEPS = 5.0
"""Alive but late: all others wait for it longer than both, and than so many of its own usual steps."""
COLD_SECONDS = 60.0
"""As long as nobody knows how long its steps take."""


def waited_for(view: View, formation: Formation) -> str | None:
    """Who alone keeps all others waiting; never ourselves, who cannot tell."""
    paces = {m.worker: view.paces.get(m.worker) for m in formation.members}
    working = [w for w, p in paces.items() if p is None or p.formation != formation.number or not p.waiting]
    if len(working) != 1 or len(paces) < 2 or working[0] == view.me.worker:
        return None
    pace = paces[working[0]]
    return working[0] if pace is not None and pace.formation == formation.number else None


def latecomer(view: View, formation: Formation) -> str | None:
    """Who keeps all others waiting beyond a multiple of its own step time."""
    late = waited_for(view, formation)
    if late is None:
        return None
    usual = view.paces[late].usual
    patience = max(LATE_SECONDS, LATE_STEPS * usual) if usual else COLD_SECONDS
    return late if view.now >= _waits_since(view, formation) + patience else None


def _waits_since(view: View, formation: Formation) -> float:
    return max(view.paces[m.worker].since for m in formation.members if m.worker in view.paces)


def told(view: View, late: str) -> str:
    """In words."""
    away = view.now - view.paces[late].since
    # In tens: what is told changes with it.
    how_long = f"{away // 10 * 10:.0f} s" if away >= 10 else "some seconds"
    return f"all others wait for {late}, whose program has not come back for {how_long}"


def doubts(view: View) -> tuple[str, ...]:
    """Whom we find so late that it should not lead, and be put out."""
    formation = view.formation
    late = latecomer(view, formation) if formation and not view.superseded else None
    return (late,) if late else ()
