"""What a program may go through in its loops: loaders, samplers, streams, data of its own."""

import io
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

from edgetrain.engine.errors import BadProgram, EmptyDataset, TrainingError
from edgetrain.loop.own_data import OwnData
from edgetrain.loop.source import source_of
from edgetrain.session import Session
from tests.support.alone import DATA, prepared, train, trained_on


class Doubled(Dataset[int]):
    """Gives many at once."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        raise AssertionError("one by one")

    def __getitems__(self, indices: list[int]) -> list[int]:
        return [2 * index for index in indices]


def squared(items: list[int]) -> torch.Tensor:
    return torch.tensor(items) ** 2


@pytest.mark.parametrize("workers", [0, 2])
def test_data_come_as_the_programs_own_loader_makes_them(session: Session, workers: int) -> None:
    model, _ = prepared(session)
    loader = DataLoader(Doubled(), batch_size=4, collate_fn=squared, num_workers=workers)
    found = [trained_on(model, batch) for batch in session.loader(loader)]
    assert [batch.tolist() for batch in found] == [[0, 4, 16, 36], [64, 100, 144, 196], [256, 324]]


def test_a_sampler_of_ones_own_is_asked_once_an_epoch(session: Session) -> None:
    model, _ = prepared(session)
    sampler = WeightedRandomSampler([1.0, 0.0, 1.0, 0.0], num_samples=6)
    loader = session.loader(DataLoader(TensorDataset(torch.arange(4)), batch_size=3, sampler=sampler))
    epochs = [
        torch.cat([trained_on(model, batch) for (batch,) in loader]).tolist() for _ in session.epochs(4)
    ]
    assert all(set(epoch) <= {0, 2} and len(epoch) == 6 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


class Alike:
    """Long ones with long ones: each batch is of samples that follow one another."""

    def __iter__(self) -> Iterator[list[int]]:
        starts = torch.randperm(5).tolist()
        return iter([list(range(4 * start, 4 * start + 4)) for start in starts])

    def __len__(self) -> int:
        return 5


class ByPython:
    """Shuffles by Python's and numpy's random numbers, which differ between members elsewhere."""

    def __init__(self) -> None:
        self.inner = torch.utils.data.RandomSampler(range(12), generator=torch.Generator())

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.inner)
        random.shuffle(order)
        np.random.shuffle(order)
        return iter([order[start : start + 3] for start in range(0, 12, 3)])

    def __len__(self) -> int:
        return 4


def test_what_a_sampler_draws_is_the_same_on_all_workers_and_moves_nothing_else() -> None:
    loaders = [DataLoader(TensorDataset(torch.arange(12)), batch_sampler=ByPython()) for _ in range(2)]
    drawn = []
    for worker, loader in enumerate(loaders):
        source = source_of(loader, None, None, seed=0)
        random.seed(worker)
        np.random.seed(worker)
        before = random.getstate()
        # The second worker comes in the third epoch.
        drawn.append([source.order.indices(epoch, range(12)) for epoch in range(2 * worker, 3)])
        assert random.getstate() == before
    assert drawn[0][-1] == drawn[1][-1]
    assert sorted(drawn[0][0]) == list(range(12))


def test_a_batch_sampler_of_ones_own_says_which_samples_go_together(session: Session) -> None:
    model, _ = prepared(session)
    loader = session.loader(DataLoader(TensorDataset(torch.arange(20)), batch_sampler=Alike()))
    epochs = [[trained_on(model, batch).tolist() for (batch,) in loader] for _ in session.epochs(3)]
    together = [list(range(start, start + 4)) for start in range(0, 20, 4)]
    assert all(sorted(epoch) == together for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_set_of_ones_own_may_grow_while_it_trains(session: Session) -> None:
    model, _ = prepared(session)
    recorded: Any = list(range(4))
    loader = session.loader(DataLoader(recorded, batch_size=2), local=True)
    seen = []
    for _ in session.epochs(3):
        seen.append([trained_on(model, batch).tolist() for batch in loader])
        recorded.append(len(recorded))
    assert seen == [[[0, 1], [2, 3]], [[0, 1], [2, 3], [4]], [[0, 1], [2, 3], [4, 5]]]


class Lines(IterableDataset[int]):
    """Of one open file: it can be read by one pass at a time alone. Shuffled within, by Python's numbers."""

    def __init__(self, count: int) -> None:
        self.file, self.count = io.StringIO("\n".join(map(str, range(count)))), count

    def __iter__(self) -> Iterator[int]:
        self.file.seek(0)
        for line in self.file:
            yield int(line) * 1000 + random.randrange(1000)

    def __len__(self) -> int:
        return self.count


def test_a_stream_is_read_once_at_a_time_and_gives_what_was_left_behind() -> None:
    source = source_of(DataLoader(Lines(70), batch_size=8, drop_last=True), None, None, 0)
    assert source.samples == 64
    ahead = source.fetch([*range(40, 50)])
    assert [int(one) // 1000 for one in ahead] == [*range(40, 50)]
    mixed = source.fetch([30, 31, 50, 51, 52])
    assert [int(one) // 1000 for one in mixed] == [30, 31, 50, 51, 52]
    # What lies too far behind begins the stream anew, and is what it was.
    assert source.fetch([*range(40, 50)]).tolist() == ahead.tolist()
    assert source.fetch([2]).tolist() != source.fetch([64 + 2]).tolist()


def test_own_data_are_counted_by_label(session: Session) -> None:
    model, _ = prepared(session)
    data = TensorDataset(torch.arange(40), torch.arange(40).clamp(max=35))
    loader = session.loader(DataLoader(data, batch_size=8), local=True, labels=lambda batch: batch[1])
    for _ in session.epochs(2):
        for batch in loader:
            trained_on(model, batch)
    told = session._program.running.engine.meter.progress
    assert told.local_samples == sum(told.local_labels.values()) == 40
    assert (told.local_labels["35"], told.local_labels["others"], len(told.local_labels)) == (5, 5, 32)
    others: list[dict[str, int]] = []
    counted = OwnData(lambda batch: batch, lambda samples, labels: others.append(labels))
    counted.add(["others"] * 100 + [f"\udc80{number}" for number in range(40)])
    counted.pass_ended()
    assert sum(others[0].values()) == 140
    assert others[0]["others"] == 110
    assert "?1" in others[0]
    with pytest.raises(BadProgram, match="which are of local data: add local=True"):
        session.loader(DataLoader(data, batch_size=8), labels=lambda batch: batch[1])


class Endless(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        yield 1


class Once(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return 1


class Pairs:
    def __iter__(self) -> Iterator[list[int]]:
        yield [0, 1]


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (lambda: DataLoader(Endless(), batch_size=2), BadProgram, "a stream without a length: say how many"),
        (lambda: DataLoader(Once(), batch_size=2), BadProgram, "a stream that cannot be begun anew"),
        (lambda: DataLoader(Endless(), num_workers=2), BadProgram, "each would give all of it: leave"),
        (
            lambda: DataLoader(Endless(), batch_size=None),
            BadProgram,
            "without batches .*: give it a batch_size",
        ),
        (lambda: DataLoader(DATA, batch_sampler=Pairs()), BadProgram, "Pairs, which has no length"),
        (
            lambda: DataLoader(DATA, batch_sampler=[[0], [1, 2], [3]]),
            BadProgram,
            "batches have 1 to 2 samples",
        ),
        (lambda: DataLoader(DATA, batch_sampler=[]), EmptyDataset, "the batch sampler list gives no batch"),
        (lambda: DataLoader(DATA, batch_size=None), BadProgram, "without batches .*: give it a batch_size"),
        (
            lambda: DataLoader(DATA, batch_size=32, drop_last=True),
            EmptyDataset,
            "20 samples are less than one batch",
        ),
        (list, EmptyDataset, "no samples: check the path"),
        (lambda: 7, BadProgram, "a int, which gives"),
    ],
)
def test_data_that_cannot_be_shared_out(
    session: Session, data: Callable[[], Any], error: type[TrainingError], words: str
) -> None:
    prepared(session)
    with pytest.raises(error, match=words):
        session.loader(data())


def test_data_of_ones_own_come_by_a_loader_of_any_kind(session: Session) -> None:
    model, optimizer = prepared(session)
    loader = session.loader(DataLoader(DATA, batch_size=8), local=True)
    assert len(loader) == 3
    seen = []
    for epoch in session.epochs(2):
        for batch in loader:
            train(model, optimizer, batch)
            seen.append((epoch, len(batch[0])))
    assert seen == [(epoch, count) for epoch in range(2) for count in (8, 8, 4)]


class StreamWithALength(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(DATA)

    def __len__(self) -> int:
        return len(DATA)


@pytest.mark.parametrize(("shuffle", "in_order"), [(None, False), (False, True)])
def test_a_set_of_ones_own_is_made_into_batches_where_their_size_is_given(
    session: Session, shuffle: bool | None, in_order: bool
) -> None:
    """A sample at a time is what came before, with its numbers counted as samples."""
    model, optimizer = prepared(session)
    loader = session.loader(DATA, batch_size=8, shuffle=shuffle, seed=3, local=True)
    batches = []
    for _ in session.epochs(1):
        for batch in loader:
            train(model, optimizer, batch)
            batches.append(batch[0])
    assert [len(batch) for batch in batches] == [8, 8, 4]
    whole = DATA.tensors[0]
    assert torch.equal(torch.cat(batches), whole) is in_order
    assert torch.equal(torch.cat(batches).sort(0).values, whole.sort(0).values)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: DataLoader(DATA), "give them to the DataLoader"),
        (lambda: iter([DATA[:4]]), "give it batches, or a data set with a length"),
        (lambda: StreamWithALength(), "give it batches, or a data set with a length"),
    ],
)
def test_a_size_of_batches_that_come_as_they_are_is_refused(
    session: Session, data: Callable[[], Any], words: str
) -> None:
    prepared(session)
    with pytest.raises(BadProgram, match=words):
        session.loader(data(), batch_size=8, local=True)


def test_a_stream_needs_a_length_of_its_epochs(session: Session) -> None:
    model, _ = prepared(session)
    with pytest.raises(BadProgram, match="say how many steps an epoch has, by steps="):
        session.loader(DataLoader(Endless(), batch_size=2), local=True)
    loader = session.loader(DataLoader(Endless(), batch_size=2), local=True, steps=4)
    assert [trained_on(model, batch).tolist() for batch in loader] == [[1]] * 4


def test_a_stream_that_all_workers_have_is_shared_out_by_the_sample(session: Session) -> None:
    model, _ = prepared(session)

    class Numbers(IterableDataset[int]):
        def __iter__(self) -> Iterator[int]:
            return iter(range(7))

    loader = session.loader(DataLoader(Numbers(), batch_size=2), steps=3)
    assert len(loader) == 3
    for _ in session.epochs(2):
        assert [trained_on(model, batch).tolist() for batch in loader] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(BadProgram, match="data that have a length: leave it out"):
        session.loader(DataLoader(DATA, batch_size=2), steps=3)
    for _ in session.epochs(1):
        with pytest.raises(BadProgram, match="the stream ended after 7 samples"):
            [
                trained_on(model, batch)
                for batch in session.loader(DataLoader(Numbers(), batch_size=2), steps=4)
            ]
