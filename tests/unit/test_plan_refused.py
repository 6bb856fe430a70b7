"""A plan that makes no sense is refused where it is read, whoever gave it; on disk it is set aside."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgetrain.supervisor.disk import Disk
from edgetrain.supervisor.plans import FilePlans
from edgetrain_protocol.signed_plan import SignedPlan
from tests.support.fleet import served
from tests.support.identities import sign, signature_of

KEPT = "plan.json"


def changed(place: str, value: Any) -> str:
    """The text of a plan with something else in one place."""
    document = json.loads(sign(served(2)).text)
    *way, last = place.split(".")
    holder: Any = document
    for key in way:
        holder = holder[int(key) if key.isdigit() else key]
    holder[int(last) if last.isdigit() else last] = value
    return json.dumps(document)


MEMBER = json.loads(sign(served(2)).text)["groups"][0]["members"][0]
SENSELESS = [
    ("founders", ["w-a"]),
    ("founders", ["w-a/"]),
    ("founders", ["/pod"]),
    ("founders", ["W A/pod"]),
    ("lineage", 0),
    ("lineage", 10**11),
    ("revision", 0),
    ("revision", 10**16),
    ("jobUid", ""),
    ("groups.0.members.1.worker", ""),
    ("groups.0.members.1.worker", "../w-b"),
    ("groups.0.members.1.worker", "w-b/pod"),
    ("groups.0.members.1.worker", "w" * 64),
    ("groups.0.members", [MEMBER, MEMBER]),
    ("groups.0.members.1.controlPort", 0),
    ("groups.0.succession", []),
    ("groups.0.succession", ["w b"]),
    ("origin", {"step": -1}),
]


@pytest.mark.parametrize(("place", "value"), SENSELESS)
def test_a_plan_that_makes_no_sense_says_where(place: str, value: Any) -> None:
    text = changed(place, value)
    with pytest.raises(ValidationError, match=place.split(".")[0]):
        SignedPlan(text=text, signature=signature_of(text))


def test_what_the_operator_makes_is_kept_as_it_came(tmp_path: Path) -> None:
    signed = sign(served(2).model_copy(update={"founders": ("w-a/pod-w-a",)}))
    Disk(tmp_path).save_plan(signed)
    assert Disk(tmp_path).plan() == signed


@pytest.mark.parametrize(
    "kept",
    [
        SignedPlan.model_construct(text=changed("founders", ["w-a"]), signature="").model_dump_json(),
        sign(served(2)).text,  # as an older version kept it, without a signature
        "{",
        "",
    ],
)
def test_what_cannot_be_read_is_set_aside_once(
    kept: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / KEPT).write_text(kept)
    assert Disk(tmp_path).plan() is None
    assert f"{tmp_path / KEPT} cannot be read and is set aside" in caplog.text
    assert (tmp_path / "plan.unreadable").read_text() == kept
    caplog.clear()
    assert Disk(tmp_path).plan() is None
    assert caplog.text == ""
    Disk(tmp_path).save_plan(sign(served(3)))
    assert Disk(tmp_path).plan() == sign_of(tmp_path)


def sign_of(directory: Path) -> SignedPlan:
    return SignedPlan.from_wire((directory / KEPT).read_bytes())


def test_a_directory_in_its_place_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / KEPT).mkdir()
    assert Disk(tmp_path).plan() is None
    Disk(tmp_path).save_plan(sign(served(3)))
    assert Disk(tmp_path).plan() is not None


def test_a_file_by_hand_that_makes_no_sense_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given: list[SignedPlan] = []
    (tmp_path / KEPT).write_text(json.dumps({"text": changed("founders", ["w-a"])}))
    with caplog.at_level(logging.WARNING):
        FilePlans(tmp_path / KEPT, given.append)._look()
    assert given == [] and "founders" in caplog.text
