"""Errors that end a program, each with the word by which supervisor and operator know it."""

from typing import ClassVar


class TrainingError(Exception):
    """The program cannot go on. The message says what is wrong and how to mend it."""

    reason: ClassVar[str] = "ProgramFailed"


class ModelMismatch(TrainingError):
    """Members run programs that do not train the same thing."""

    reason = "ModelMismatch"

    def __init__(self, difference: str) -> None:
        super().__init__(
            f"this worker's model, data or optimiser differs from the other members': {difference}; "
            "let every worker run the same program with the same arguments on the same data"
        )


class EmptyDataset(TrainingError):
    reason = "EmptyDataset"


class BadProgram(TrainingError):
    """The program uses the session in a way that cannot work."""

    reason = "BadProgram"


class BadState(TrainingError):
    """Something with state cannot be saved or loaded."""

    reason = "BadState"


class BadCheckpoint(TrainingError):
    """A checkpoint is damaged."""

    reason = "BadCheckpoint"


class ModelNotSaved(TrainingError):
    reason = "ModelNotSaved"


class VolumeNotWritable(TrainingError):
    """Found before the first step."""

    reason = "VolumeNotWritable"
