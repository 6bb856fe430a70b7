"""Numbers and texts of the program's own that go along with its state."""

from typing import Any


class UserState(dict[str, Any]):
    """A dict whose values can be saved: numbers, texts, tensors, lists and dicts of them."""

    def state_dict(self) -> dict[str, Any]:
        return dict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.clear()
        self.update(state)
