"""A model is in its store, or it is said why not; a job does not wait for it for ever."""

import time
from pathlib import Path

from edgetrain.engine.settings import RemotePlace
from edgetrain.engine.state.final_model import push
from edgetrain.link import Message


def pushed(root: Path, place: RemotePlace, seconds: float = 30.0) -> str:
    model, said = root / "model.safetensors", list[Message]()
    model.write_bytes(b"model")

    def hold_on(pause: float) -> bool:
        time.sleep(pause / 10)
        return True

    return push(model, place, said.append, hold_on, seconds)


def test_it_is_there_with_its_hash(tmp_path: Path) -> None:
    assert pushed(tmp_path, RemotePlace(f"file://{tmp_path}/store/model.safetensors")) == ""
    assert (tmp_path / "store" / "model.safetensors").read_bytes() == b"model"
    assert (tmp_path / "store" / "model.safetensors.sha256").read_text().endswith("  model.safetensors\n")
    assert len(list((tmp_path / "store").iterdir())) == 2


def test_it_is_said_why_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file/model.safetensors" in pushed(
        tmp_path, RemotePlace(f"file://{tmp_path}/file/model.safetensors"), 5
    )
    nowhere = RemotePlace(f"file://{tmp_path}/store/model.safetensors", f"{tmp_path}/no-keys")
    began = time.monotonic()
    assert "takes longer than 0.3 s" in pushed(tmp_path, nowhere, 0.3)
    assert time.monotonic() - began < 10
