"""A program is known by the content of its files, whatever node they are on and however they came there."""

from pathlib import Path

from edgetrain.group.members import Member, Pod
from edgetrain.group.status import Stage, Status
from edgetrain.supervisor.program_files import MOST_BYTES, fingerprint
from edgetrain.supervisor.training import clash

COMMAND = ("python", "/program/main.py")


def mounted(root: Path, version: str, **files: str) -> Path:
    """As a kubelet mounts a ConfigMap: links to links into a directory named after the time."""
    (root / f"..{version}").mkdir(parents=True)
    for name, text in files.items():
        (root / f"..{version}" / f"{name}.py").write_text(text)
        if not (root / f"{name}.py").is_symlink():
            (root / f"{name}.py").symlink_to(f"..data/{name}.py")
    (root / "..data.new").symlink_to(f"..{version}")
    (root / "..data.new").rename(root / "..data")
    return root


def test_it_is_the_content_that_counts(tmp_path: Path) -> None:
    one = fingerprint(COMMAND, mounted(tmp_path / "a", "2026_01", main="x = 1", lib="y = 1"))
    assert len(one) == 16
    assert fingerprint(COMMAND, mounted(tmp_path / "b", "2026_02", main="x = 1", lib="y = 1")) == one
    plain = tmp_path / "c"
    plain.mkdir()
    (plain / "main.py").write_text("x = 1")
    (plain / "lib.py").write_text("y = 1")
    (plain / "__pycache__").mkdir()
    (plain / "__pycache__" / "lib.pyc").write_text("compiled")
    assert fingerprint(COMMAND, plain) == one


def test_an_edit_changes_it_and_undone_it_is_the_same_again(tmp_path: Path) -> None:
    root = mounted(tmp_path, "2026_01", main="x = 1")
    before = fingerprint(COMMAND, root)
    mounted(tmp_path, "2026_02", main="x = 2")
    assert fingerprint(COMMAND, root) != before
    mounted(tmp_path, "2026_03", main="x = 1")
    assert fingerprint(COMMAND, root) == before
    mounted(tmp_path, "2026_04", main="x = 1", other="")
    assert fingerprint(COMMAND, root) != before


def test_names_and_contents_do_not_run_together(tmp_path: Path) -> None:
    one = fingerprint(COMMAND, mounted(tmp_path / "a", "1", a="b", c="d"))
    assert one != fingerprint(COMMAND, mounted(tmp_path / "b", "1", a="bc", d=""))


def test_a_script_of_the_image_counts_and_what_may_differ_between_nodes_does_not(tmp_path: Path) -> None:
    script, interpreter = tmp_path / "train.py", tmp_path / "python"
    script.write_text("x = 1")
    interpreter.write_text("amd64")
    none = tmp_path / "none"
    before = fingerprint((str(interpreter), str(script), "--node=edge-1"), none)
    interpreter.write_text("arm64")
    assert fingerprint((str(interpreter), str(script), "--node=edge-2"), none) == before != ""
    script.write_text("x = 2")
    assert fingerprint((str(interpreter), str(script)), none) != before


def test_what_cannot_be_known_is_no_program(tmp_path: Path) -> None:
    assert fingerprint(("train",), tmp_path / "none") == ""
    (tmp_path / "data.bin").write_bytes(bytes(MOST_BYTES + 1))
    assert fingerprint(("train",), tmp_path) == "", "data"


def status(worker: str, layout: str = "l", program: str = "", formation: int = 0) -> Status:
    pod = Pod(worker, f"pod-{worker}")
    return Status(pod, Member(*pod, "i"), Stage.FRESH, layout=layout, program=program, formation=formation)


def test_who_differs_is_told_in_what() -> None:
    ours = status("a", program="1111")
    edited, other_model, unknown = status("b", program="2222"), status("c", "m", "1111"), status("d")
    assert not ours.alike(edited) and not ours.alike(other_model)
    assert ours.alike(unknown) and unknown.alike(ours), "a worker of an earlier version does not say"
    assert clash(edited, [ours, edited]) == (
        "ProgramDiffers",
        "the files of its program (2222) differ from those of a (1111)",
    )
    differs = "its model, its optimiser or its version of edgetrain differs from that of a"
    assert clash(other_model, [ours]) == ("ModelMismatch", differs)
    assert clash(unknown, [ours, edited]) is None
    assert clash(status("b", program="2222", formation=3), [ours]) is None, "it trains, whoever else is there"
