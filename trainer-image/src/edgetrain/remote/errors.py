"""Why something could not be fetched or pushed. The text names the address and says what to do."""


class RemoteError(Exception):
    """Its class says what kind of thing is wrong."""

    reason = "RemoteFailed"


class Unreachable(RemoteError):
    """The store does not answer, answers with an error of its own, or breaks off. Waiting may mend it."""

    reason = "StoreUnreachable"


class NotFound(RemoteError):
    """The store has nothing there."""

    reason = "SourceNotFound"


class AccessDenied(RemoteError):
    """The store does not let us."""

    reason = "StoreAccessDenied"


class KeysMissing(RemoteError):
    """The job names a Secret that is not there, or is empty. Waiting may mend it."""

    reason = "SecretMissing"


class BadSource(RemoteError):
    """An address, a list of hashes or an archive that cannot be used."""

    reason = "BadSource"


class HashDiffers(RemoteError):
    """Not what the spec, or the file beside, says it is."""

    reason = "HashDiffers"


class NoRoom(RemoteError):
    """The volume cannot take it."""

    reason = "VolumeFull"


class NoRanges(Exception):
    """The server sends files from their beginning alone."""
