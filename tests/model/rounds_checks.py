"""What must hold in each state of groups, envoys and log: the invariants, one predicate each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from edgetrain.rounds.book_rules import Settlement
from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import Fate
from edgetrain.rounds.entries import Body, Merge, Return, UpdateKey
from edgetrain.rounds.lead import Lead
from tests.model.crew import Crew, Mass, work
from tests.model.search import Violation

if TYPE_CHECKING:
    from tests.model.rounds_world import RoundsState, RoundsWorld


def check(world: RoundsWorld, state: RoundsState) -> None:
    books = world.folded(state.log)
    crews: list[Crew] = [world.thing(number) for number in state.crews]
    model = world.model(state, books.version, books.digest)
    log = [world.thing(number) for number in state.log]
    each_merged_step_counts_one_part_in_all_groups(books, log, model)
    for crew in crews:
        parameters_are_a_version_and_the_work_since(world, state, crew)
        if books.has(crew.history):
            no_work_is_dropped_before_it_is_settled(books, crew)
            what_became_of_an_update_is_in_the_books(books, crew, log)
    no_position_is_trained_by_two(books, crews, log)
    no_more_is_staged_than_an_update_of_each_group(books, world.thing(state.desk).lead)
    nothing_of_a_lineage_that_is_over_is_merged(log)
    data_are_leased_to_groups_on_the_books_alone(books)


def each_merged_step_counts_one_part_in_all_groups(books: Books, log: Iterable[Body], model: Mass) -> None:
    """I7, and I15 with it: the last version contains every position once."""
    merged = Counter(p for start, stop in books.data.of(Fate.MERGED) for p in range(start, stop))
    if Counter(step.position for step, _ in model.parts) != merged:
        raise Violation("a version contains other positions than its books say")
    merges = [body for body in log if isinstance(body, Merge)]
    groups = {c.key: merge.groups for merge in merges for c in merge.contributions}
    if any(part != Fraction(1, groups[UpdateKey(s.history, s.seq)]) for s, part in model.parts):
        raise Violation("a step was not merged as one part in all groups")


def parameters_are_a_version_and_the_work_since(world: RoundsWorld, state: RoundsState, crew: Crew) -> None:
    """I7 within a group, and I8: whoever has applied a version has that one."""
    for mate in crew.living:
        if mate.theta != world.committed_model(state, mate.ledger.base) + work(mate.ledger):
            raise Violation(
                f"parameters of {crew.history} are not version {mate.ledger.base} and the work since"
            )


def no_work_is_dropped_before_it_is_settled(books: Books, crew: Crew) -> None:
    """I4. A turn in doubt that all who are left hold is as good as done."""
    settled, here = books.group(crew.history).settled, {step for step, _ in work(crew.ledger).parts}
    lost = [step for step in crew.trained if step.seq > settled and step not in here]
    if lost and crew.living and not crew.resumed:
        raise Violation(f"{lost} is neither merged nor returned, and its group has it no more")


def what_became_of_an_update_is_in_the_books(books: Books, crew: Crew, log: Iterable[Body]) -> None:
    """Its entry may be cut off by then."""
    if (flying := crew.ledger.in_flight) is None:
        return
    told = Settlement.OPEN
    for body in log:
        if isinstance(body, Merge) and any(c.key == flying.key for c in body.contributions):
            told = Settlement.MERGED
        if isinstance(body, Return) and (body.history, body.seq) == flying.key:
            told = Settlement.RETURNED
    if told is not books.settlement(flying.key):
        raise Violation(f"{flying.key} is {told.value}, and the books say otherwise")


def no_position_is_trained_by_two(books: Books, crews: Iterable[Crew], log: Iterable[Body]) -> None:
    """I5, I13, I14: what a group on the books has in hand was leased to it by the log, and is no other's,
    unless the log says that it was returned."""
    returned = {
        (back.history, position)
        for back in log
        if isinstance(back, Return)
        for start, stop in back.blocks
        for position in range(start, stop)
    }
    held: Counter[int] = Counter()
    for crew in crews:
        if books.has(crew.history) and crew.living:
            leased = {p for start, stop in books.data.of(crew.history) for p in range(start, stop)}
            settled = books.group(crew.history).settled
            in_hand = {step.position for step, _ in work(crew.ledger).parts if step.seq > settled}
            if strange := [p for p in in_hand - leased if (crew.history, p) not in returned]:
                raise Violation(f"{crew.history} trains on {strange}, which the log has not leased to it")
            held.update(in_hand & leased)
    if twice := [position for position, count in held.items() if count > 1]:
        raise Violation(f"positions {twice} are trained by two")


def no_more_is_staged_than_an_update_of_each_group(books: Books, lead: Lead) -> None:
    """I17."""
    parts = Counter({group.history: 0 for group in books.groups})
    for staged in lead.staged:
        parts[staged.update.key.history] += len(staged.parts)
    if len(parts) > len(books.groups) or max(parts.values()) > lead.shards:
        raise Violation("more is staged than one update of each group")


def nothing_of_a_lineage_that_is_over_is_merged(log: Iterable[Body]) -> None:
    """Whatever its group is called."""
    lineage = 1
    for body in log:
        lineage += not isinstance(body, Body)
        if isinstance(body, Merge) and any(f" of {lineage} " not in c.digest for c in body.contributions):
            raise Violation(f"an update of another lineage than {lineage} is merged")


def data_are_leased_to_groups_on_the_books_alone(books: Books) -> None:
    """What was leased to others is free again."""
    owners = {part.owner for part in books.data.parts if not isinstance(part.owner, Fate)}
    if strange := owners - {group.history for group in books.groups}:
        raise Violation(f"data are leased to {strange}, which are not on the books")


def check_bytes(there: frozenset[tuple[UpdateKey, str, int, str]], merge: Merge) -> None:
    """I3: all parts of what is merged are of the update that the entry names."""
    for contribution in merge.contributions:
        if any((k, d) == (contribution.key, contribution.digest) and a != d for k, d, _, a in there):
            raise Violation(f"{contribution.digest} is merged with bytes of another push")
