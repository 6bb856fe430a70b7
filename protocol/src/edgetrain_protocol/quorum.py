"""When enough of a formation can vote. The one rule, for groups that vote and for the operator that asks
whether they ever can again."""


def enough(living: int, here: int, *, aggregator_here: bool) -> bool:
    """Whether `here` of the `living` members of a formation decide for it: more than half of them, or half
    with its aggregator. Living are those not declared ended; of nobody living nobody decides."""
    if 2 * here == living:
        return aggregator_here
    return 2 * here > living
