"""What a program has named to its session: everything that has state, and what of it is trained."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from edgetrain.engine.errors import BadProgram
from edgetrain.engine.state.flat_model import FlatModel, layout_of
from edgetrain.engine.state.snapshot import Stateful, check


class Parts:
    """In the order in which they were named."""

    def __init__(self) -> None:
        self.objects: list[Stateful] = []

    def add(self, things: Iterable[Any]) -> None:
        """
        Raises:
            BadState: something has no state_dict, or one that cannot be saved.
            BadProgram: something was named before.
        """
        for thing in things:
            if any(thing is one for one in self.objects):
                raise BadProgram(f"a {type(thing).__name__} was given to the session twice: once is enough")
            if isinstance(thing, nn.Parameter):
                self.objects.append(nn.ParameterList([thing]))
            else:
                check([thing])
                self.objects.append(thing)

    @property
    def modules(self) -> list[nn.Module]:
        return [thing for thing in self.objects if isinstance(thing, nn.Module)]

    @property
    def optimizers(self) -> list[Optimizer]:
        return [thing for thing in self.objects if isinstance(thing, Optimizer)]

    @property
    def scalers(self) -> list[torch.amp.GradScaler]:
        """Those that are not switched off."""
        found = (thing for thing in self.objects if isinstance(thing, torch.amp.GradScaler))
        return [scaler for scaler in found if scaler.is_enabled()]

    def scale(self) -> float:
        """By which a scaler has multiplied the loss."""
        return next((float(scaler.get_scale()) for scaler in self.scalers), 1.0)

    def flat(self) -> FlatModel:
        """
        Raises:
            BadProgram: there is nothing to train, or what an optimiser moves belongs to no module that was
            named.
        """
        if not self.modules:
            raise BadProgram(
                "the session needs the model: call session.prepare(model, optimizer) before the loop"
            )
        whole = nn.ModuleList(self.modules)
        known = {id(parameter) for parameter in whole.parameters()}
        moved = [p for o in self.optimizers for group in o.param_groups for p in group["params"]]
        if any(id(parameter) not in known for parameter in moved):
            raise BadProgram(
                "an optimiser moves a parameter of a module that was not given to session.prepare: give it "
                "all modules whose parameters are trained"
            )
        if any(parameter.is_complex() for parameter in moved):
            raise BadProgram(
                "a parameter is complex: keep it as two real ones (torch.view_as_real), as a group sums "
                "real numbers"
            )
        wanted = {id(p) for p in moved} if moved else {id(p) for p in whole.parameters() if p.requires_grad}
        flat = FlatModel(whole, [p for p in whole.parameters() if id(p) in wanted])
        flat.scaled = bool(self.scalers)
        return flat

    def layout(self, settings: str) -> list[str]:
        """See `layout_of`. A single module's names are those that the program knows."""
        modules = self.modules
        whole = modules[0] if len(modules) == 1 else nn.ModuleList(modules)
        return layout_of(whole, self.optimizers, [settings])
