"""A step takes no memory from the system that the step before has given back."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from torch.utils.data import DataLoader, TensorDataset
import edgetrain

torch.set_num_threads(1)
model = torch.nn.Sequential(*(torch.nn.Linear(768, 768) for _ in range(6)))
optimizer = torch.optim.Adam(model.parameters())
session = edgetrain.join()
session.prepare(model, optimizer)
loader = session.loader(DataLoader(TensorDataset(torch.randn(400, 768)), batch_size=8))
faults = []
for epoch in session.epochs(1):
    for (x,) in loader:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print((faults[-1] - faults[19]) // (len(faults) - 20))
"""


def faults_of_a_step(**environment: str) -> int:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE
    )
    return int(ran.stdout)


GRADIENTS = 3456
"""Pages: 14 MB."""


def test_gradients_are_made_where_those_of_the_step_before_were() -> None:
    # On a machine whose processors are taken by others some 60 are the system's own.
    assert faults_of_a_step() < GRADIENTS / 20


def test_who_has_set_the_bounds_of_the_c_library_keeps_them() -> None:
    if not os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("another C library")
    assert faults_of_a_step(MALLOC_TRIM_THRESHOLD_="131072") > GRADIENTS / 2
