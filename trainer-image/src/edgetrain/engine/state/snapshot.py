"""All that is stateful, captured at a loop boundary and put back: for newcomers and checkpoints.

Encoded by torch.save and read with weights_only, so that nothing that comes over the network or from
a disk is ever unpickled.
"""

import hashlib
import io
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from edgetrain.engine.errors import BadState
from edgetrain.engine.place import Place
from edgetrain.engine.state.ledger import Ledger
from edgetrain.link import FormationId, Position
from edgetrain_protocol.history import history_from

FORMAT = 1
SESSIONS_OWN = 4
"""Objects that a session adds to those of its program."""
OWN_BEFORE_ROUNDS = 3
_PLAIN = (bool, int, float, str, bytes, type(None))


@runtime_checkable
class Stateful(Protocol):
    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any) -> Any: ...


@dataclass(frozen=True)
class Snapshot:
    """The state at the boundary after step `position.committed`."""

    position: Position
    ledger: Ledger
    layout: list[str]
    objects: list[Any]
    """State dicts, in the order in which the program wrapped their owners."""
    random: dict[str, Any]
    carried: Mapping[str, Any] = field(default_factory=dict)
    """In a checkpoint, as `Carried` has it; a newcomer gets nothing of it."""
    place: Place | None = None
    """Where in its loops the program was; None of older versions."""
    own: int = SESSIONS_OWN
    """So many of the objects are the session's own, the last ones."""

    @property
    def identity(self) -> str:
        """Names this point of this history: equal on all members, though their bits may differ."""
        point = [str(self.position.history), str(self.position.committed), self.ledger.to_json().decode()]
        return hashlib.sha256("\n".join([*point, *self.layout]).encode()).hexdigest()


def capture(
    position: Position,
    ledger: Ledger,
    layout: list[str],
    objects: Sequence[Stateful],
    carried: Mapping[str, Any],
    place: Place | None = None,
) -> Snapshot:
    """Copy everything: what is captured does not move when training goes on.

    Raises:
        BadState: something has a state that can only be pickled.
    """
    states = [_changed(thing.state_dict(), type(thing).__name__, _copied) for thing in objects]
    kept = _changed(carried, "carried", _copied)
    return Snapshot(position, ledger, layout, states, _random_state(), kept, place)


def restore(snapshot: Snapshot, objects: Sequence[Stateful]) -> None:
    """Put a snapshot back into the program's own objects.

    Raises:
        BadState: the objects are not those that were captured.
    """
    # Older versions had fewer of their own.
    states = [*snapshot.objects, *({} for _ in range(SESSIONS_OWN - snapshot.own))]
    if len(objects) != len(states):
        raise BadState(
            f"the state is of {len(states) - SESSIONS_OWN} objects, and this program has given "
            f"{len(objects) - SESSIONS_OWN} to session.prepare"
        )
    for thing, state in zip(objects, states, strict=True):
        try:
            thing.load_state_dict(state)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            what = type(thing).__name__
            raise BadState(f"the state does not fit this program's {what}: {error}") from error
    torch.set_rng_state(snapshot.random["torch"])
    version, internal, gauss = snapshot.random["python"]
    random.setstate((version, tuple(internal), gauss))


def check(objects: Sequence[object]) -> None:
    """Refuse at once what could not be saved later.

    Raises:
        BadState: names the object and the part of its state.
    """
    for thing in objects:
        if not isinstance(thing, Stateful):
            raise BadState(
                f"session.prepare got a {type(thing).__name__}, which has no state_dict and load_state_dict: "
                "give it both, or leave it out"
            )
        _changed(thing.state_dict(), type(thing).__name__, lambda tensor: tensor)


def encode(snapshot: Snapshot) -> bytes:
    position = snapshot.position
    document = {
        "format": FORMAT,
        "history": list(position.history),
        "committed": position.committed,
        "formation": position.formation.to_json() if position.formation else None,
        "ledger": snapshot.ledger.to_json().decode(),
        "layout": snapshot.layout,
        "objects": snapshot.objects,
        "random": snapshot.random,
        "carried": snapshot.carried,
        "place": snapshot.place.to_document() if snapshot.place else {},
        "own": snapshot.own,
    }
    out = io.BytesIO()
    torch.save(document, out)
    return out.getvalue()


def decode(data: bytes) -> Snapshot:
    """Read what `encode` wrote.

    Raises:
        BadState: it is something else.
    """
    try:
        document = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
        if document["format"] != FORMAT:
            raise BadState(f"the state has format {document['format']}, this version reads {FORMAT}")
        formation = FormationId.from_json(document["formation"]) if document["formation"] else None
        # Before groups a state named its lineage alone.
        history = history_from(document["history"] if "history" in document else document["lineage"])
        return Snapshot(
            position=Position(history, formation, document["committed"]),
            ledger=Ledger.from_json(document["ledger"]),
            layout=document["layout"],
            objects=document["objects"],
            random=document["random"],
            # What older versions have written has none.
            carried=document.get("carried", {}),
            place=Place.from_document(document.get("place", {})),
            own=document.get("own", OWN_BEFORE_ROUNDS if document.get("place") else 0),
        )
    except BadState:
        raise
    except Exception as error:
        # Damaged archives make torch.load raise almost anything.
        raise BadState(f"no state of a session: {error}") from error


def _random_state() -> dict[str, Any]:
    version, internal, gauss = random.getstate()
    return {"torch": torch.get_rng_state(), "python": [version, list(internal), gauss]}


def with_tensors(snapshot: Snapshot, change: Callable[[Tensor], Tensor]) -> Snapshot:
    """The same with other tensors in their places; `change` is asked for them in an order that is always
    the same.

    Raises:
        BadState: there is something in it that `capture` would have refused.
    """
    objects = _changed(snapshot.objects, "objects", change)
    return replace(snapshot, objects=objects, random=_changed(snapshot.random, "random", change))


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().cpu()


def _changed(value: Any, where: str, change: Callable[[Tensor], Tensor]) -> Any:
    """Another one like `value`, of what weights_only can read back, with other tensors."""
    if isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized:
        return change(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        items = {key: _changed(item, f"{where}[{key!r}]", change) for key, item in value.items()}
        return Counter(items) if isinstance(value, Counter) else items
    if type(value) in (list, tuple):
        return type(value)(_changed(item, f"{where}[{i}]", change) for i, item in enumerate(value))
    if isinstance(value, _PLAIN) and type(value) in _PLAIN:
        return value
    raise BadState(
        f"{where} is a {type(value).__name__}: only dense tensors, numbers, texts, lists and dicts can be "
        "saved; leave it out of state_dict(), or give it in such a form"
    )
