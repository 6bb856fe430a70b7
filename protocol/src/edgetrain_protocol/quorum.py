"""How many are enough to decide: of a formation, for groups that vote and for the operator that asks whether
they ever can again, and of a council."""


def majority(here: int, of: int) -> bool:
    """More than half: any two such sets have somebody in common."""
    return 2 * here > of


def enough(living: int, here: int, *, aggregator_here: bool) -> bool:
    """Whether `here` of the `living` members of a formation decide for it: more than half of them, or half
    with its aggregator. Living are those not declared ended; of nobody living nobody decides."""
    if 2 * here == living:
        return aggregator_here
    return majority(here, living)
