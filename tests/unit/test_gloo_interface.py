"""On the nodes' own network there are many interfaces: Gloo takes the one that has the pod's address."""

import threading

import pytest
import torch

from edgetrain.engine.formation.gloo import AddressStore, ProcessGroup

ADDRESSES = ("127.0.0.2", "127.0.0.3")
DIALLED_FROM = "127.0.0.1"
"""On loopback, whatever the dialler's own address."""


def test_members_meet_at_their_pods_addresses_whatever_interface_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "no-such-interface")
    stores: list[AddressStore] = []

    def publish(key: str, value: bytes) -> None:
        for store in stores:
            store.put(key, value)

    stores += [AddressStore(publish) for _ in ADDRESSES]
    sums: dict[int, float] = {}

    def member(rank: int) -> None:
        group = ProcessGroup(stores[rank], rank, len(ADDRESSES), ADDRESSES[rank], 10.0, (DIALLED_FROM,))
        value = torch.tensor([float(rank + 1)])
        group.wait_for(group.all_reduce(value))
        sums[rank] = value.item()

    threads = [threading.Thread(target=member, args=(rank,), daemon=True) for rank in range(len(ADDRESSES))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sums == {0: 3.0, 1: 3.0}
    assert [address for address, _ in dict(sorted(stores[0].listeners().items())).values()] == list(ADDRESSES)
