"""Lightning's Trainer as it is, on a job's workers: one callback more, and the session's loader.

    session = edgetrain.join()
    trainer = L.Trainer(max_epochs=3, callbacks=[EdgeCallback(session)])
    trainer.fit(model, session.loader(DataLoader(train_set, batch_size=32, shuffle=True), counted=True))
    session.save(model)

For `pip install lightning`.
"""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from edgetrain.session import Session


class EdgeCallback(Callback):  # type: ignore[misc]
    """The last of the callbacks: others' wish to stop becomes that of all members."""

    def __init__(self, session: Session) -> None:
        self._session = session
        # Lightning has a bar of its own.
        session.progress = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        self._session.prepare(pl_module, *trainer.optimizers, *schedulers, _Progress(trainer))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not by epochs without batches, as loops of a program's own: other callbacks want their validation.
        behind = min(self._session.passes_behind(), trainer.max_epochs or 0)
        epochs = trainer.fit_loop.epoch_progress.current
        epochs.ready = epochs.started = epochs.processed = epochs.completed = behind

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # A member that stopped alone would be waited for.
        trainer.should_stop = self._session.agree(trainer.should_stop) or self._session.finishing


class _Progress:
    """Lightning's own counters, from which `global_step` comes."""

    def __init__(self, trainer: Trainer) -> None:
        self._counters = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress

    def state_dict(self) -> dict[str, Any]:
        return dict(self._counters.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._counters.load_state_dict(state)
