"""A script as several workers on this machine: trains through losses, ends, fails, goes on as it should."""

import re
import signal
import subprocess
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.run.conftest import Start, edgetrain, script

ROOT = Path(__file__).parents[2]
SLOWLY = ["time.sleep(0.02)"]


def test_a_script_runs_as_three_workers_and_leaves_its_model(tmp_path: Path) -> None:
    ran = edgetrain(tmp_path, "run", "-n", "3", str(ROOT / "examples" / "digits.py"), "--epochs", "3")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    accuracies = set(re.findall(r"^edge-[123] \| held-out accuracy: (.+)$", ran.stdout, re.MULTILINE))
    assert len(accuracies) == 1, ran.stdout
    assert "complete after 69 steps" in ran.stdout
    assert load_file(tmp_path / "model" / "model.safetensors")
    assert "supervisor" not in ran.stdout


def test_a_worker_loses_power_and_gets_it_back_by_a_key(tmp_path: Path, start: Start) -> None:
    terminal = start("run", "-n", "3", script(tmp_path, SLOWLY), "900")
    terminal.until("3 of 3 train")
    terminal.press("2")
    terminal.until("edge-2: power off")
    terminal.until("2 of 3 train")
    terminal.press("2")
    terminal.until("edge-2: power on")
    terminal.until("3 of 3 train")
    assert terminal.end() == 0
    assert "complete after 900 steps" in terminal.shown
    assert set(re.findall("trained 900 as (edge-[123])", terminal.shown)) == {"edge-1", "edge-2", "edge-3"}


def test_all_lose_power_and_go_on_from_what_was_durable(tmp_path: Path, start: Start) -> None:
    directory = tmp_path / "state"
    terminal = start("run", "-n", "3", "--dir", str(directory), script(tmp_path, SLOWLY), "1300")
    terminal.until("3 of 3 train")
    terminal.wait(lambda: len(list(directory.glob("edge-*/checkpoint/*/*/*.pt"))) >= 2, "nothing is durable")
    terminal.until(r"step [\d,]+")
    terminal.press("123")
    terminal.until("edge-3: power off")
    terminal.press("312")
    terminal.until("3 of 3 train")
    assert terminal.end(120) == 0
    assert "complete after 1,300 steps" in terminal.shown


def test_a_preset_trains_one_model_in_rounds_through_the_loss_of_who_leads_them(
    tmp_path: Path, start: Start
) -> None:
    digits = str(ROOT / "examples" / "digits.py")
    terminal = start("run", "-n", "3", "--preset", "local-sgd", digits, "--epochs", "60")
    lead = terminal.until(r"edge-(\d) leads the log of rounds")[1]
    terminal.until(r"version \d")
    terminal.press(lead)
    terminal.until(f"edge-{lead}: power off")
    terminal.until(r"edge-\d leads the log of rounds, term")
    terminal.press(lead)
    terminal.until(f"edge-{lead}: power on")
    assert terminal.end() == 0
    accuracies = re.findall(r"edge-\d \| held-out accuracy: ([0-9.]+)", terminal.shown)
    assert len(set(accuracies)) == 1 and float(accuracies[0]) > 0.9, terminal.shown
    assert "listens on port" not in terminal.shown, "that is for the log"


@pytest.mark.parametrize("by_key", [True, False], ids=["key", "signal"])
def test_what_was_stopped_goes_on_from_its_last_step(tmp_path: Path, start: Start, by_key: bool) -> None:
    words = ("run", "-n", "2", "--dir", "state", script(tmp_path, SLOWLY), "1000")
    first = start(*words)
    first.until("2 of 2 train")
    first.until(r"step \d\d\d")
    if by_key:
        first.press("q")
    else:
        first.process.send_signal(signal.SIGINT)
    assert first.end() == 130
    reached = max(int(n) for n in re.findall(r"step (\d+)", first.shown))
    second = start(*words)
    begun = int(second.until(r"step ([\d,]+)")[1].replace(",", ""))
    assert begun >= reached
    assert second.end() == 0
    assert "complete after 1,000 steps" in second.shown


def test_a_script_that_raises_ends_the_run_with_its_words(tmp_path: Path) -> None:
    name = script(tmp_path, ["if step == 20: raise RuntimeError('the sensor is upside down')"])
    ran = edgetrain(tmp_path, "run", "-n", "2", name, "50")
    assert ran.returncode == 1
    assert "RuntimeError: the sensor is upside down" in ran.stdout
    assert "--retries is 0" in ran.stdout
    logs = Path(re.findall("logs: (.+)", ran.stderr)[0])
    assert "upside down" in (logs / "edge-1" / "trainer.log").read_text()


@pytest.mark.parametrize("joins", [True, False], ids=["joins", "never joins"])
def test_nothing_outlives_a_run_that_is_killed(tmp_path: Path, start: Start, joins: bool) -> None:
    name = script(tmp_path, SLOWLY)
    if not joins:
        (tmp_path / name).write_text("import time\nprint('sleeps', flush=True)\ntime.sleep(300)")
    terminal = start("run", "-n", "2", name, "100000")
    terminal.until("2 of 2 train" if joins else "sleeps")
    terminal.process.send_signal(signal.SIGKILL)
    terminal.process.wait()
    left = ["pgrep", "-f", str(tmp_path)]
    for _ in range(100):
        if subprocess.run(left, stdout=subprocess.DEVNULL).returncode:
            return
        terminal.read(0.1)
    pytest.fail(subprocess.run(["pgrep", "-af", str(tmp_path)], capture_output=True, text=True).stdout)


def test_a_slow_processor_takes_a_part_of_the_time(tmp_path: Path) -> None:
    """Of what the same work takes another."""
    lines = [
        "if step == 0: began, used = time.monotonic(), time.process_time()",
        "sum(range(50_000))",
        "share = (time.process_time() - used) / max(time.monotonic() - began, 1e-6)",
        "if step == 299: print('share', share, flush=True)",
    ]
    ran = edgetrain(tmp_path, "run", "-n", "1", "--cpu", "0.25", script(tmp_path, lines), "300")
    assert ran.returncode == 0, ran.stdout
    assert 0.1 < float(re.findall(r"share (\S+)", ran.stdout)[0]) < 0.4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.py"], "there is no script nothing.py"),
        (["-n", "0", "program.py"], "-n 0: give 1 to 32 workers"),
        (["--link", "fast", "program.py"], "'fast' is no link: write a rate such as 50mbit"),
        (["--cpu", "1,1,1,1", "program.py"], "--cpu names 4 workers, and there are 3"),
        (["--min", "4", "program.py"], "--min 4: give 1 to 3"),
        (["--link", "20mbit-5ms", "program.py"], "have a rate alone"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_line(tmp_path: Path, words: list[str], said: str) -> None:
    script(tmp_path, [])
    ran = edgetrain(tmp_path, "run", *words)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_program_that_prints_without_end_keeps_nobody_from_stopping_it(
    tmp_path: Path, start: Start
) -> None:
    name = script(tmp_path, ["for n in range(2000): print('line', n)", "time.sleep(0.01)"])
    terminal = start("run", "-n", "2", name, "100000")
    terminal.until("2 of 2 train")
    terminal.press("q")
    assert terminal.end() == 130
    assert re.search(r"\(\d[\d,]* lines are in its log alone\)", terminal.shown)


def test_it_can_be_stopped_while_a_worker_has_no_power(tmp_path: Path, start: Start) -> None:
    terminal = start("run", "-n", "3", script(tmp_path, SLOWLY), "100000")
    terminal.until("3 of 3 train")
    terminal.press("2")
    terminal.until("2 of 3 train")
    terminal.press("q")
    assert terminal.end() == 130


def test_a_directory_is_one_runs(tmp_path: Path, start: Start) -> None:
    """At a time, of one command, until it is complete; one that has failed goes on from where it was."""
    (tmp_path / "broken").touch()
    name = script(
        tmp_path, ["if step == 150 and os.path.exists('broken'): raise SystemExit('a bug')", *SLOWLY]
    )
    first = start("run", "-n", "2", "--dir", "state", name, "300")
    first.until("2 of 2 train")
    assert "another run uses" in edgetrain(tmp_path, "run", "--dir", "state", name, "300").stderr
    assert first.end() == 1
    assert "is a run of" in edgetrain(tmp_path, "run", "--dir", "state", name, "299").stderr
    (tmp_path / "broken").unlink()
    second = edgetrain(tmp_path, "run", "-n", "2", "--dir", "state", name, "300")
    assert second.returncode == 0, second.stdout
    assert "complete after 300 steps" in second.stdout
    assert "is complete: remove it" in edgetrain(tmp_path, "run", "--dir", "state", name, "300").stderr


def test_what_lies_beside_a_script_is_the_scripts_alone(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("raise ImportError('not the one of the standard library')")
    ran = edgetrain(tmp_path, "run", "-n", "1", "--dir", "state", script(tmp_path, []), "3")
    assert "trained" not in ran.stdout, "the script finds it, as it does alone"
    assert "not the one" not in (tmp_path / "state" / "edge-1" / "profiler.log").read_text()


def test_a_new_project_runs(tmp_path: Path) -> None:
    made = edgetrain(tmp_path, "init", "disc")
    assert made.returncode == 0
    assert "edgetrain run -n 3 train.py" in made.stdout
    ran = edgetrain(tmp_path / "disc", "run", "-n", "2", "train.py")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert float(re.findall("epoch 30: accuracy (.+)", ran.stdout)[-1]) > 0.95
    again = edgetrain(tmp_path, "init", "disc")
    assert again.returncode == 2
    assert "is there already" in again.stderr
