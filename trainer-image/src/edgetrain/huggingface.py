"""Hugging Face's Trainer as it is, on a job's workers: `EdgeTrainer` in the place of `Trainer`.

For `pip install transformers accelerate`. What is a device's batch there is a whole step's here, over all
workers; a batch counts by its labels.
"""

from collections.abc import Iterator
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from edgetrain.engine.errors import BadProgram
from edgetrain.loop.loader import Loader
from edgetrain.session import join

IGNORED_LABEL = -100
"""Labels that losses leave out."""
_OF_ITS_STATE = ("global_step", "epoch", "total_flos", "best_metric", "best_global_step")


class EdgeTrainer(Trainer):  # type: ignore[misc]
    """Call `trainer.session.save(trainer.model)` once `train` is over."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Trainer has a bar of its own.
        self.session = join(progress=False)
        super().__init__(*args, **kwargs)
        if self.args.load_best_model_at_end:
            raise BadProgram(
                "load_best_model_at_end takes the best model from this worker's own disk, where another may "
                "have none: leave it out, and keep the best one yourself in what is prepared"
            )
        self.add_callback(_Follow(self))

    def get_train_dataloader(self) -> Loader:
        found = super().get_train_dataloader()
        # Accelerate's own shares out by rank, and knows nothing of speeds and losses.
        return self.session.loader(getattr(found, "base_dataloader", found), counted=True)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple["_Lazily", None]:
        """One after another: which samples come next is known once the step before is committed."""
        return _Lazily(epoch_iterator, num_batches), None

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        labels = inputs.get("labels")
        if isinstance(labels, torch.Tensor):
            self.session.weigh(float((labels != IGNORED_LABEL).sum()))
        return super().training_step(model, inputs, num_items_in_batch)

    def is_world_process_zero(self) -> bool:
        """Who logs and draws bars."""
        return self.session.is_main


class _Lazily:
    """So many of the next batches, taken when they are wanted."""

    def __init__(self, batches: Iterator[Any], count: int) -> None:
        self._batches, self._count = batches, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self._count):
            try:
                yield next(self._batches)
            except StopIteration:
                return


class _Follow(TrainerCallback):  # type: ignore[misc]
    def __init__(self, trainer: EdgeTrainer) -> None:
        self._session = trainer.session

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **found: Any
    ) -> None:
        optimizer = found["optimizer"]
        inner = getattr(optimizer, "optimizer", optimizer)  # Accelerate's wrapper has the state of this one.
        self._session.prepare(found["model"], inner, found["lr_scheduler"], _Kept(state))

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **found: Any
    ) -> None:
        # Processors differ in the last bits, and a member that stops alone would be waited for.
        control.should_training_stop = self._session.agree(control.should_training_stop)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **found: Any
    ) -> None:
        if self._session.catching_up and state.global_step < state.max_steps:
            # It takes an epoch without batches for the end of the data.
            control.should_training_stop = False
        elif self._session.finishing:
            control.should_training_stop = True


class _Kept:
    """What of the Trainer's own state goes along with the model."""

    def __init__(self, state: TrainerState) -> None:
        self._state = state

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self._state, name, None) for name in _OF_ITS_STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self._state, name, value)
