"""What a trainer has put into committed sums and what came out: over all of them that balances."""

from typing import Any

import torch

from edgetrain.engine import attempts as _attempts
from edgetrain.engine import summation as _summation

attempts: Any = _attempts
summation: Any = _summation
"""Their insides are replaced to look at what goes by."""


class Accounts:
    """Of one process: its gradients, in double precision."""

    def __init__(self) -> None:
        self.brought: torch.Tensor | None = None
        self.got: torch.Tensor | None = None
        self.left: torch.Tensor | None = None
        self.steps = 0

    def add(self, brought: torch.Tensor, got: torch.Tensor, left: torch.Tensor | None) -> None:
        zeros = torch.zeros_like(got, dtype=torch.float64)
        self.brought = brought + (zeros if self.brought is None else self.brought)
        self.got = got + (zeros if self.got is None else self.got)
        self.left = zeros if left is None else left.double()
        self.steps += 1

    def to_json(self) -> dict[str, Any]:
        sides = {name: getattr(self, name).tolist() for name in ("brought", "got", "left")}
        return {**sides, "steps": self.steps}


def keep_accounts() -> Accounts:
    """From now on, of whatever is committed in this process."""
    accounts = Accounts()
    real_keep, real_ready = attempts.Attempts.keep, summation.Summation._with_residue

    def with_residue(self: Any, ready: Any) -> Any:
        self.mine = torch.zeros_like(self._vector)
        complete = real_ready(self, lambda part: None)

        def ask(bucket: int) -> None:
            ready(bucket)
            self._views(self.mine)[bucket].copy_(self._views(self._vector)[bucket])
            complete(bucket)

        return ask

    def keep(self: Any, entry: Any) -> None:
        before = self._replica.carried
        total = entry.total.clone()
        real_keep(self, entry)
        if self._replica.carried is not before:
            end, left = self._flat.gradients, self._replica.carried.residue
            mine = self._summation.mine[:end].double()
            accounts.add(mine, total[:end].double(), None if left is None else left[:end])

    summation.Summation._with_residue = with_residue
    attempts.Attempts.keep = keep
    return accounts
