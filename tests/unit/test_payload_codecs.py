"""Vectors packed number by number: how far off they come back, and that nothing is lost for good."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgetrain.payload.codec import Floats, encoded
from edgetrain.payload.codecs import CODECS, codec_seconds
from edgetrain.payload.int8 import CHUNK
from edgetrain_protocol.strategy import Payload

LOSSY = [Payload.BF16, Payload.INT8]
FINITE = st.floats(-(2.0**99), 2.0**99, width=32)
VECTORS = st.integers(0, 2 * CHUNK + 3).flatmap(lambda n: arrays.arrays(np.float32, n, elements=FINITE))


def there_and_back(payload: Payload, values: Floats) -> Floats:
    codec, back = CODECS[payload], np.empty_like(values)
    packed = encoded(codec, values)
    assert len(packed) == codec.bytes_of(len(values))
    codec.decode(packed, back)
    return back


@given(VECTORS)
def test_fp32_comes_back_as_it_was(values: Floats) -> None:
    assert np.array_equal(there_and_back(Payload.FP32, values), values)


@given(VECTORS)
def test_bf16_is_that_of_torch(values: Floats) -> None:
    theirs = torch.from_numpy(values).bfloat16().float().numpy()
    assert np.array_equal(there_and_back(Payload.BF16, values), theirs)


@given(VECTORS)
def test_int8_is_off_by_half_a_127th_of_its_neighbours_largest(values: Floats) -> None:
    off = np.abs(there_and_back(Payload.INT8, values).astype(np.float64) - values)
    for start in range(0, len(values), CHUNK):
        largest = np.abs(values[start : start + CHUNK]).max().astype(np.float64)
        assert off[start : start + CHUNK].max() <= largest / 254 * 1.0001 + 1e-35


@pytest.mark.parametrize("payload", LOSSY)
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_seen_at_the_other_end(payload: Payload, number: float) -> None:
    values = np.ones(3 * CHUNK, np.float32)
    values[CHUNK + 5] = number
    back = there_and_back(payload, values)
    assert not np.isfinite(back[CHUNK + 5])
    assert np.isfinite(back[:CHUNK]).all() and np.isfinite(back[2 * CHUNK :]).all()


def test_bytes() -> None:
    assert [CODECS[p].bytes_of(1 << 20) / (4 << 20) for p in CODECS] == [1.0, 0.5, 0.25 + 1 / CHUNK]


def test_what_codecs_cost_is_measured_within_its_time() -> None:
    ticks = iter(range(10_000))
    found = codec_seconds(lambda: next(ticks) / 1000)
    assert found == {"bf16": pytest.approx(1e-3), "int8": pytest.approx(1e-3)}
    assert next(ticks) < 40


@pytest.mark.parametrize("payload", LOSSY)
def test_rounded_by_chance_it_is_right_on_average_and_never_off_by_more_than_a_step(payload: Payload) -> None:
    draws, codec = 2000, CODECS[payload]
    values = np.random.default_rng(1).normal(size=CHUNK + 7).astype(np.float32)
    noise, back = np.random.default_rng(2), np.empty_like(values)
    total = np.zeros(len(values))
    step = np.abs(values).max() / 127 if payload is Payload.INT8 else np.abs(values) / 128
    for _ in range(draws):
        codec.decode(encoded(codec, values, noise), back)
        assert (np.abs(back - values) <= step * 1.001).all()
        total += back
    # Six deviations of the mean of so many, each of which is half a step at most.
    assert (np.abs(total / draws - values) <= 6 * 0.5 * step / np.sqrt(draws)).all()


@pytest.mark.parametrize("payload", LOSSY)
def test_rounded_by_chance_the_largest_stays_in_its_range_and_what_is_no_number_is_none(
    payload: Payload,
) -> None:
    codec, noise = CODECS[payload], np.random.default_rng(3)
    for values in (np.full(9, 127, np.float32), np.full(9, -127, np.float32), np.zeros(9, np.float32)):
        back = np.empty_like(values)
        for _ in range(200):
            codec.decode(encoded(codec, values, noise), back)
            np.testing.assert_array_equal(back, values)
    for bad in (np.nan, np.inf, -np.inf):
        values, back = np.full(9, bad, np.float32), np.empty(9, np.float32)
        codec.decode(encoded(codec, values, noise), back)
        assert not np.isfinite(back).any()
