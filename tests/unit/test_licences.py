"""What comes along with our packages may be given on with them."""

from email.message import Message
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from tests.support.licences import OURS, allowed, installed, licence, refused


def test_all_that_comes_at_runtime_is_under_a_licence_that_is_allowed() -> None:
    found = installed(OURS)
    assert {"torch", "kopf", "aiohttp", "cryptography", "pydantic-core"} <= found.keys()
    assert list(refused(found)) == []


def package(folder: Path, **metadata: str) -> Distribution:
    """One whose metadata say this."""
    lines = {"Name": "p", "Version": "1.2", **{key.replace("_", "-"): text for key, text in metadata.items()}}
    (folder / "METADATA").write_text("\n".join(f"{key}: {text}" for key, text in lines.items()) + "\n\n")
    return PathDistribution(folder)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"License_Expression": "GPL-3.0-only"}, "p 1.2 is under GPL-3.0-only, which is not among"),
        ({"License": "AGPL"}, "p 1.2 is under AGPL, which is not among"),
        (
            {"License": "x" * 200, "Classifier": "License :: Other/Proprietary License"},
            "p 1.2 is under Other/Proprietary License, which is not among",
        ),
        ({}, "a licence that its metadata do not name"),
    ],
)
def test_one_that_is_not_is_named_with_what_to_do(
    tmp_path: Path, metadata: dict[str, str], says: str
) -> None:
    (told,) = refused({"p": package(tmp_path, **metadata)})
    assert says in told and "tests/support/licences.py" in told


@pytest.mark.parametrize(
    ("expression", "is_allowed"),
    [
        ("MIT", True),
        ("GPL-2.0-only OR MIT", True),
        ("MIT AND GPL-2.0-only", False),
        ("BSD-3-Clause AND 0BSD AND MIT", True),
        ("MIT AND (GPL-2.0-only OR ISC)", False),
        ("(MIT OR Apache-2.0) AND ISC", True),
        ("", False),
    ],
)
def test_licences_are_combined_as_spdx_says(expression: str, is_allowed: bool) -> None:
    assert allowed(expression) is is_allowed


def test_older_metadata_are_understood() -> None:
    metadata = Message()
    metadata["Classifier"] = "License :: OSI Approved :: BSD License"
    metadata["Classifier"] = "Programming Language :: Python"
    assert licence(metadata) == "BSD-3-Clause"
