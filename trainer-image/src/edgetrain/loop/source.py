"""A program's data, whatever its form: how many samples it has, in which order they come, and how a batch is
made of some of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
)

from edgetrain.engine.errors import BadProgram, EmptyDataset
from edgetrain.epoch_order import EpochOrder
from edgetrain.loop.order import Batched, InOrder, Order, Sampled, Shuffled, drawn_by
from edgetrain.loop.records import Counted, Records

Collate = Callable[[list[Any]], Any]
WITHOUT_BATCHES = (
    "session.loader got a DataLoader without batches (batch_size=None): give it a batch_size, of which each "
    "worker gets a part by its speed"
)
OF_THE_LOADER = "session.loader got a DataLoader and batch_size or shuffle: give them to the DataLoader"


@dataclass(frozen=True)
class Source:
    """What a loader of the session hands out."""

    samples: int
    """An epoch's."""
    batch_size: int
    """Of a whole step, over all workers."""
    order: Order
    fetch: Callable[[list[int]], Any]
    """A batch of these samples."""
    workers: "DataLoader[Any] | None" = None
    """Whose processes fetch batches ahead; None where the program's own process fetches them."""
    at_once: bool = False
    """What lay behind cannot be had for long: what a lost worker had in hand goes out with the next step."""
    described: str = ""
    """For the comparison with the other workers' programs."""


def source_of(
    data: Any, batch_size: int | None, shuffle: bool | None, seed: int, steps: int | None = None
) -> Source:
    """
    Args:
        data: a DataLoader, or a data set with a length that can be indexed.
        batch_size, shuffle: of a data set; a DataLoader has its own.
        steps: of an epoch, where a stream has no length.

    Raises:
        BadProgram: it cannot be shared out by the sample.
        EmptyDataset: there is nothing to train on.
    """
    if isinstance(data, DataLoader):
        if batch_size is not None or shuffle is not None:
            raise BadProgram(OF_THE_LOADER)
        if isinstance(data.dataset, IterableDataset):
            return _of_stream(data, steps, seed)
        _check_no_steps(steps)
        return _of_loader(data, seed)
    _check_no_steps(steps)
    dataset = _checked(data)
    found = _source(len(dataset), batch_size or 1, dataset, default_collate, seed)
    return replace(found, order=InOrder()) if shuffle is False else found


def own_batches(data: Any, batch_size: int | None, shuffle: bool | None, seed: int) -> Any:
    """The batches of data of a worker's own: as they come, or made of a data set where its size or order is
    given.

    Raises:
        BadProgram: what is given is not of such data.
    """
    if batch_size is None and shuffle is None:
        return data
    if isinstance(data, DataLoader):
        raise BadProgram(OF_THE_LOADER)
    if not (_by_index(data) and hasattr(data, "__len__")):
        raise BadProgram(
            "session.loader got batch_size or shuffle for local data that come as they are: give it batches, "
            "or a data set with a length"
        )
    drawn = torch.Generator().manual_seed(seed)
    return DataLoader(data, batch_size or 1, shuffle=shuffle is not False, generator=drawn)


def _check_no_steps(steps: int | None) -> None:
    if steps is not None:
        raise BadProgram("session.loader got steps=... for data that have a length: leave it out")


def _of_stream(loader: "DataLoader[Any]", steps: int | None, seed: int) -> Source:
    stream, size = cast(Any, loader.dataset), loader.batch_size
    if size is None:
        raise BadProgram(WITHOUT_BATCHES)
    if loader.num_workers:
        raise BadProgram(
            "session.loader got a stream with num_workers, processes of which each would give all of it: "
            "leave num_workers out, or give each worker a stream of its own by local=True"
        )
    if iter(stream) is stream:
        raise BadProgram(
            "session.loader got a stream that cannot be begun anew, as for an epoch or after a loss: let "
            "its __iter__ make a new iterator, or give each worker a stream of its own by local=True"
        )
    samples = steps * size if steps is not None else length_of(stream, "a stream")
    if loader.drop_last:
        samples -= samples % size
    if not samples:
        raise EmptyDataset(f"the stream has less than one batch of {size} samples")
    records = Records(stream, samples, size, seed)
    return Source(
        samples,
        size,
        Counted(samples),
        lambda indices: loader.collate_fn(records.read(indices)),
        at_once=True,
        described=f"a stream, {samples} samples an epoch, batch_size {size}",
    )


def length_of(data: Any, what: str) -> int:
    """
    Raises:
        BadProgram: it has none; `what` it is, for the one who reads that.
    """
    try:
        return len(data)
    except TypeError as error:
        raise BadProgram(
            f"session.loader got {what} without a length: say how many steps an epoch has, by steps=..."
        ) from error


def _of_loader(loader: "DataLoader[Any]", seed: int) -> Source:
    batches = loader.batch_sampler
    if batches is None:
        raise BadProgram(WITHOUT_BATCHES)
    if type(batches) is not BatchSampler:
        return _of_batches(loader, seed)
    # Not the loader's own: they are empty where it was made with a batch sampler.
    dataset, sampler, size = _checked(loader.dataset), cast(Any, batches.sampler), batches.batch_size
    order: Order | None = None
    samples = len(sampler)
    if isinstance(sampler, SequentialSampler):
        order = InOrder()
    elif type(sampler) is not RandomSampler or sampler.replacement or samples != len(dataset):
        order = Sampled(sampler, seed, samples)
    kept = samples - samples % size if batches.drop_last else samples
    if not kept:
        raise EmptyDataset(
            f"{samples} samples are less than one batch of {size}, and drop_last leaves them out"
        )
    found = _source(samples, size, dataset, loader.collate_fn, seed)
    return replace(
        found, samples=kept, order=order or found.order, workers=loader if loader.num_workers else None
    )


def _of_batches(loader: "DataLoader[Any]", seed: int) -> Source:
    """By a batch sampler of the program's own: which samples are trained on together is its to say."""
    sampler = loader.batch_sampler
    if not hasattr(sampler, "__len__"):
        raise BadProgram(
            f"session.loader got the batch sampler {type(sampler).__name__}, which has no length: give it a "
            "__len__, the number of its batches"
        )
    sizes = [len(batch) for batch in drawn_by(sampler, seed, 0)]
    if not sizes:
        raise EmptyDataset(f"the batch sampler {type(sampler).__name__} gives no batch")
    if len({*sizes[:-1]}) > 1 or sizes[-1] > sizes[0]:
        raise BadProgram(
            f"session.loader got a batch sampler whose batches have {min(sizes)} to {max(sizes)} samples: "
            "let all have as many, but for the last of an epoch"
        )
    found = _source(sum(sizes), sizes[0], _checked(loader.dataset), loader.collate_fn, seed)
    order = Batched(sampler, seed, found.samples)
    return replace(found, order=order, workers=loader if loader.num_workers else None)


def _source(samples: int, batch_size: int, dataset: Any, collate: Collate, seed: int) -> Source:
    if batch_size < 1:
        raise BadProgram(f"batch_size is {batch_size}: it must be 1 or more")

    def fetch(indices: list[int]) -> Any:
        if type(dataset) is TensorDataset and collate is default_collate:
            # The same, without taking it apart by the sample and putting it together again.
            rows = torch.tensor(indices)
            return [tensor[rows] for tensor in dataset.tensors]
        if hasattr(dataset, "__getitems__"):
            return collate(dataset.__getitems__(indices))
        return collate([dataset[index] for index in indices])

    described = f"data {samples} samples, batch_size {batch_size}, seed {seed}"
    order = Shuffled(EpochOrder(samples, seed, 0))
    return Source(samples, batch_size, order, fetch, described=described)


def _by_index(data: Any) -> bool:
    """Whether it gives its samples so: every data set of torch has a __getitem__, also one that refuses."""
    return hasattr(data, "__getitem__") and not isinstance(data, IterableDataset)


def _checked(dataset: Any) -> Any:
    if not _by_index(dataset):
        raise BadProgram(
            f"session.loader got a {type(dataset).__name__}, which gives its samples one after another: give "
            "it a data set with __len__ and __getitem__, as list(...) of it is, or a DataLoader over an "
            "IterableDataset"
        )
    try:
        count = len(dataset)
    except TypeError as error:
        raise BadProgram(
            f"session.loader got a {type(dataset).__name__}, which has no length: give it a __len__"
        ) from error
    if not count:
        raise EmptyDataset("the data set has no samples: check the path and the filter that it is read with")
    return dataset


def batches_of(source: Source, wanted: Iterator[list[int]]) -> Iterator[Any]:
    """What the DataLoader's own processes fetch ahead, for lists of indices as they come."""
    loader = source.workers
    assert loader is not None
    ahead: DataLoader[Any] = DataLoader(
        loader.dataset,
        batch_sampler=_Once(wanted),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
    )
    return iter(ahead)


class _Once:
    """An iterator that torch may ask for as if it were a sampler."""

    def __init__(self, wanted: Iterator[list[int]]) -> None:
        self._wanted = wanted

    def __iter__(self) -> Iterator[list[int]]:
        return self._wanted
