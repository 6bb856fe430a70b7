"""How far a log may be cut: below a version that is durable, and no further. Pure."""

from edgetrain.rounds.entries import Merge
from edgetrain.rounds.log import Log


class CompactionRules:
    """The rule, so that a test can break it and see that the exploration notices."""

    def counts(self, version: int, durable: int) -> bool:
        """Whether the log may begin with this version: who resumes from the durable one, because nothing
        newer is left, has to find the books as they were then."""
        return version <= durable


RULES = CompactionRules()


def cut_at(log: Log, behind: int, rules: CompactionRules = RULES) -> int:
    """The last entry that may be forgotten; `log.cut.index` for none. It made a version that is durable, by
    a committed entry, and `behind` versions or more are behind it: they are for those who lack a little, and
    who else would need a whole version.

    Raises:
        ValueError: a witness is asked, who cannot tell.
    """
    if log.books is None:
        raise ValueError("a log without bodies does not say which version is durable")
    committed = log.after(log.cut.index)[: log.committed - log.cut.index]
    books = log.books.fold(entry.body for entry in committed if entry.body)
    best = log.cut.index
    for entry in committed:
        match entry.body:
            case Merge(version) if rules.counts(version, books.durable) and version <= books.version - behind:
                best = entry.index
    return best
