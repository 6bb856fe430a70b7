"""What a pod has voted for: written down before it is sent, read again after a restart."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from edgetrain.group.members import Formation, Member, Pod
from edgetrain_protocol.history import History

ENDED_KEPT = 16


@dataclass(frozen=True)
class Accepted:
    formation: Formation
    formed: bool
    """Whether something may have been committed in it, as far as this pod knows: its trainer may have taken
    part, or it was a witness. False is a proof that nothing was."""


@dataclass(frozen=True)
class Record:
    """A pod's vote record in one history."""

    pod: Pod
    history: History
    base: Formation
    """The newest formation known to have committed a step; the founders before the first."""
    accepted: tuple[Accepted, ...] = ()
    """Since `base`, oldest first. One that was left without being formed is dropped with the next vote."""
    promised: int = 0
    """The highest number voted for: nothing up to it is voted for, or formed, again."""
    voter: Member | None = None
    """The incarnation of this pod's trainer that last voted."""
    ended: tuple[Member, ...] = ()
    """Incarnations of this pod's trainer that are over for certain, oldest first."""
    stranger: bool = False
    """This generation had begun when the pod first heard of it, as far as it remembers: it is no founder."""
    serial: int = field(default=0, compare=False)
    """Rises with every change: of two records of a pod the higher one is newer."""

    def accept(self, formation: Formation) -> Self:
        """Vote for it, which leaves every older one for good."""
        kept = tuple(a for a in self.accepted if a.formed)
        voter = next((m for m in formation.members if m.home == self.pod), None)
        return self._changed(
            # Without a witness the others may train: that it never did is no proof.
            accepted=(*kept, Accepted(formation, formed=voter is None)),
            promised=formation.number,
            voter=voter or self.voter,
        )

    def form(self, formation: Formation) -> Self:
        """Let the trainer take part in it."""
        formed = tuple(replace(a, formed=True) if a.formation == formation else a for a in self.accepted)
        return self._changed(accepted=formed)

    def committed_in(self, formation: Formation) -> Self:
        """A step was committed in it: all its members had left every older one."""
        if formation.number <= self.base.number:
            return self
        kept = tuple(a for a in self.accepted if a.formation.number > formation.number)
        return self._changed(base=formation, accepted=kept)

    def end(self, member: Member) -> Self:
        """This pod's trainer process is over."""
        if member in self.ended:
            return self
        return self._changed(ended=(*self.ended, member)[-ENDED_KEPT:])

    def with_ended(self, ended: Iterable[Member]) -> Self:
        """With incarnations that are known to be over from another history."""
        more = tuple(m for m in ended if m not in self.ended)
        return self._changed(ended=(*self.ended, *more)[-ENDED_KEPT:]) if more else self

    def recovered(self) -> Self:
        """As read from disk: whether the last formation was formed before the crash is not known."""
        return self._changed(accepted=tuple(replace(a, formed=True) for a in self.accepted))

    def find(self, number: int) -> Formation | None:
        """The formation of this number, where this pod voted for it or knows that it committed."""
        known = (self.base, *(a.formation for a in self.accepted))
        return next((f for f in known if f.number == number), None)

    def estranged(self) -> Self:
        """The generation is heard to have begun: who has voted for nothing in it is no founder any more."""
        voted = self.accepted or self.promised or not self.base.founding
        return self if voted or self.stranger else self._changed(stranger=True)

    def forgets(self, shown: Self, member: Member | None) -> Formation | None:
        """A formation of this history that another pod's record shows us in, and that this one never knew.

        Then ours was lost with its disk: what we have promised, to whom, nobody can say any more.
        `member` is our trainer, whom others may have called before we hear of it.
        """
        known = {*self.ended, member}
        seen = (shown.base, *(a.formation for a in shown.accepted)) if shown.history == self.history else ()
        for formation in seen:
            ours = [m for m in formation.members if m.home == self.pod and m not in known]
            if ours and formation.number > self.promised:
                return formation
        return None

    def never_formed(self, formation: Formation) -> bool:
        """Whether this pod is a member and can swear to have had no part in it, now or later.

        Then no step was committed in it: a commit needs every member.
        """
        ours = [m for m in formation.members if m.home == self.pod]
        if not ours or formation.founding or formation.number <= self.base.number:
            return False
        if any(m != self.voter and m not in self.ended for m in ours):
            return False  # Of a life that this record knows nothing of: it was lost with its disk.
        formed = any(a.formed for a in self.accepted if a.formation == formation)
        left = self.promised > formation.number or all(m in self.ended for m in ours)
        return left and not formed

    def _changed(self, **fields: object) -> Self:
        return replace(self, serial=self.serial + 1, **fields)  # type: ignore[arg-type]
