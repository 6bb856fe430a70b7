"""What the API server will not take: in its words, with what to mend."""

from collections.abc import Mapping, Sequence

from edgetrain_operator.core.model import Observed, Refusal, Subject

SAID_MAX = 400
"""Of the API server's words in a message of ours."""
NODES_NAMED = 5

_WITHIN = "ask for what it allows in template.spec.containers or spec.overrides, or change that LimitRange"
_MENDS: Sequence[tuple[str, str]] = (
    ("failed calling webhook", "bring that webhook's service back, or remove its configuration"),
    ("admission webhook", "meet what that webhook asks for, or have it changed"),
    ("ValidatingAdmissionPolicy", "meet what that policy asks for, or have it changed"),
    ("exceeded quota", "raise that ResourceQuota, ask for less, or lower spec.nodes.max"),
    ("failed quota", "give what that ResourceQuota counts, in template.spec.containers or spec.overrides"),
    ("per Container", _WITHIN),
    ("per Pod", _WITHIN),
    ("violates PodSecurity", "do without, or run the job in a namespace that allows it"),
    ("page not found", "install what has it, such as Kueue, or do without in the edgetrain chart's values"),
    ("cannot create resource", "give the operator's ServiceAccount that right: see the chart"),
    ("cannot delete resource", "give the operator's ServiceAccount that right: see the chart"),
)
_OTHERWISE = "mend the job or what refuses it"


def told(what: str, said: str) -> str:
    """A refusal's message; `what` was refused, and `said` is the API server's answer."""
    mend = next((mend for words, mend in _MENDS if words in said), _OTHERWISE)
    return f"{what} is refused: {said[:SAID_MAX]}; {mend}: it is tried again"


def of_kind(seen: Observed, kind: str) -> Mapping[str, Refusal]:
    """By name, in order of names."""
    found = {subject.name: refusal for subject, refusal in seen.refusals.items() if subject.kind == kind}
    return dict(sorted(found.items()))


def of_nodes(seen: Observed, nodes: Sequence[str]) -> Mapping[str, Refusal]:
    """Those of these nodes that wait for a pod which is refused."""
    return {node: seen.refusals[key] for node in nodes if (key := Subject("node", node)) in seen.refusals}


def summary(refused: Mapping[str, Refusal]) -> str:
    """One message for several nodes: the first one's, and who else."""
    (node, first), *others = refused.items()
    names = ", ".join(name for name, _ in others[:NODES_NAMED])
    more = f" (and {len(others)} more: {names}{', ...' if others[NODES_NAMED:] else ''})" if others else ""
    return f"{node}: {first.message}{more}"
