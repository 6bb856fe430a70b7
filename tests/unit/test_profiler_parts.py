"""The profiler's parts: traces of bursts, the watch over exchanges, the node's files, the report buffer."""

import random
import socket
import threading
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetrain.credentials import Credentials
from edgetrain.profiler import node
from edgetrain.profiler.burst import POINTS, Trace, counted, link_rate, receive, send
from edgetrain.profiler.counters import interface_of
from edgetrain.profiler.probe_server import ProbeServer
from edgetrain.profiler.probe_wire import ProbeError
from edgetrain.profiler.prober import Prober
from edgetrain.profiler.watch import Watch
from edgetrain.report_buffer import ReportBuffer, Sequence
from edgetrain.rundir import Heartbeat, read_heartbeat, write_heartbeat
from edgetrain_protocol.report import ProbeOrder, TrainingPart
from tests.support.fleet import report
from tests.support.identities import credentials, kept_credentials, stranger

KIB = 1 << 10
known = cache(kept_credentials)


def steady(size: int, bits_per_second: float, *, begins: float = 0.0, bucket: int = 0) -> Trace:
    """As a link of this rate delivers it, after a bucket that comes at once."""
    marks = (size * (point + 1) / POINTS for point in range(POINTS))
    return Trace(size, tuple(begins + max(0.0, mark - bucket) * 8 / bits_per_second for mark in marks))


class TestTraces:
    def test_second_half_tells_the_rate_whatever_the_bucket_let_through(self) -> None:
        for bucket in (0, 16 * KIB, 60 * KIB):
            trace = steady(128 * KIB, 5e6, bucket=bucket)
            assert counted([trace]).bits_per_second == pytest.approx(5e6, rel=0.02)

    @pytest.mark.parametrize(
        ("showed", "others", "seconds", "what"),
        [
            (20e6, 0, 0.05, "a bucket that was full at first is no traffic"),
            (10e6, 128, 0.105, "as much again went beside it"),
            (19e6, 60, 0.15, "other traffic flowed before and after it"),
        ],
    )
    def test_other_traffic_had_its_part_of_the_link(
        self, showed: float, others: int, seconds: float, what: str
    ) -> None:
        carried = int(128 * KIB * 1.1) + others * KIB
        assert link_rate(showed, 128 * KIB, carried, seconds) == pytest.approx(20e6, rel=0.05), what

    def test_burst_within_the_bucket_is_not_settled(self) -> None:
        assert not steady(128 * KIB, 5e6, bucket=100 * KIB).settled
        assert steady(256 * KIB, 5e6, bucket=100 * KIB).settled

    def test_burst_in_which_tcp_still_finds_its_pace_is_not_settled(self) -> None:
        doubling = Trace(128 * KIB, tuple(0.05 * (1 + point).bit_length() for point in range(POINTS)))
        assert not doubling.settled

    @given(st.lists(st.floats(1e6, 1e9), min_size=2, max_size=5))
    @settings(deadline=None)
    def test_several_bursts_sized_by_rate_sum_up(self, rates: list[float]) -> None:
        traces = [steady(int(rate * 0.2 / 8), rate) for rate in rates]
        assert counted(traces).bits_per_second == pytest.approx(sum(rates), rel=0.05)

    def test_receiver_that_is_the_limit_gives_its_own_rate_whoever_is_served_first(self) -> None:
        first, second = steady(500_000, 50e6), steady(500_000, 50e6, begins=0.08)
        assert counted([first, second]).bits_per_second == pytest.approx(50e6, rel=0.05)

    def test_sender_that_hangs_up_is_an_error(self) -> None:
        ours, theirs = socket.socketpair()
        with ours:
            send(theirs, 1000)
            theirs.close()
            with pytest.raises(ConnectionError, match="1000 of 2000"):
                receive(ours, 2000)


class TestProbing:
    def prober(self, shown: Credentials | None = None, turn: "threading.Lock | None" = None) -> Prober:
        return Prober(shown or known("w-a"), turn or threading.Lock(), interface_of("127.0.0.1"))

    def order(self, port: int, deadline: float = 5.0) -> ProbeOrder:
        return ProbeOrder(
            peer="w-b", address="127.0.0.1", port=port, max_bytes=1 << 20, deadline_seconds=deadline, bursts=1
        )

    def test_stranger_is_neither_served_nor_believed(self, tmp_path: Path) -> None:
        server = ProbeServer(known("w-b"), threading.Lock(), interface_of("127.0.0.1"), "127.0.0.1")
        try:
            with pytest.raises(OSError, match="certificate"):
                self.prober(credentials(tmp_path, "w-a", by=stranger())).probe(self.order(server.port))
            with pytest.raises(OSError, match="w-c's address is answered by w-b"):
                self.prober().probe(self.order(server.port).model_copy(update={"peer": "w-c"}))
            self.prober().probe(self.order(server.port))
        finally:
            server.close()

    def test_node_in_a_probe_refuses_another(self) -> None:
        turn = threading.Lock()
        server = ProbeServer(known("w-b"), turn, interface_of("127.0.0.1"), "127.0.0.1")
        try:
            with turn, pytest.raises(ProbeError, match="another probe under way"):
                self.prober().probe(self.order(server.port))
            with turn, pytest.raises(ProbeError, match="at this node"):
                self.prober(turn=turn).probe(self.order(server.port))
        finally:
            server.close()

    def test_peer_that_is_not_there_is_an_error_and_frees_the_turn(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        turn = threading.Lock()
        with pytest.raises(OSError, match="refused"):
            self.prober(turn=turn).probe(self.order(port))
        assert not turn.locked()

    def test_peer_that_falls_silent_costs_the_deadline_not_more(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
            self.prober().probe(self.order(silent.getsockname()[1], deadline=0.3))


class TestWatch:
    def feed(self, watch: Watch, seconds: float, rate: float, start: float, noise: float = 0.2) -> float:
        """A trainer that computes for half of its step and exchanges in the other."""
        dice, now = random.Random(start), start
        while now < start + seconds:
            now += 0.2
            in_exchange = int(now / 0.6) % 2 == 0
            bytes_per_second = rate * (1 + dice.uniform(-noise, noise)) if in_exchange else 0.0
            watch.saw(now, bytes_per_second, in_exchange)
        return now

    def test_steady_exchanges_raise_nothing(self) -> None:
        watch = Watch(0.0)
        self.feed(watch, 120, 5e6, 0.0)
        assert not watch.alarm

    @pytest.mark.parametrize("factor", [0.25, 0.4, 3.0])
    def test_change_of_pace_raises_the_alarm_within_seconds(self, factor: float) -> None:
        watch = Watch(0.0)
        now = self.feed(watch, 30, 5e6, 0.0)
        self.feed(watch, 9, 5e6 * factor, now)
        assert watch.alarm

    def test_probe_lays_it_to_rest_and_the_new_pace_becomes_the_usual_one(self) -> None:
        watch = Watch(0.0)
        now = self.feed(watch, 30, 5e6, 0.0)
        now = self.feed(watch, 10, 1e6, now)
        watch.probed(now)
        assert not watch.alarm
        self.feed(watch, 60, 1e6, now)
        assert not watch.alarm

    def test_pause_is_no_change(self) -> None:
        watch = Watch(0.0)
        now = self.feed(watch, 30, 5e6, 0.0)
        now = self.feed(watch, 60, 100.0, now)
        self.feed(watch, 30, 5e6, now)
        assert not watch.alarm

    def test_hiccup_is_no_change(self) -> None:
        watch = Watch(0.0)
        now = self.feed(watch, 30, 5e6, 0.0)
        now = self.feed(watch, 0.9, 1e6, now)
        self.feed(watch, 30, 5e6, now)
        assert not watch.alarm


class TestNode:
    def test_processor_in_use_counts_neither_idle_nor_waiting_for_disks(self, tmp_path: Path) -> None:
        (tmp_path / "stat").write_text("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 1\n")
        before = node.ticks(tmp_path)
        (tmp_path / "stat").write_text("cpu  150 0 150 750 150 0 0 0 0 0\n")
        assert node.cpu_ratio(before, node.ticks(tmp_path)) == pytest.approx(0.5)

    def test_this_machine(self) -> None:
        memory = node.memory()
        assert 0 < memory.available <= memory.total
        assert node.ticks().total > 0

    def test_hottest_sensor_counts_and_a_broken_one_does_not(self, tmp_path: Path) -> None:
        for name, text in (("thermal/thermal_zone0", "45000"), ("thermal/thermal_zone1", "61500")):
            path = tmp_path / "class" / name
            path.mkdir(parents=True)
            (path / "temp").write_text(f"{text}\n")
        broken = tmp_path / "class/hwmon/hwmon0"
        broken.mkdir(parents=True)
        (broken / "temp1_input").write_text("-273150\n")
        assert node.temperature(tmp_path) == 61.5

    def test_battery_is_told_from_a_mains_adapter(self, tmp_path: Path) -> None:
        for name, kind, charge in (("AC", "Mains", "100"), ("BAT0", "Battery", "43")):
            supply = tmp_path / "class/power_supply" / name
            supply.mkdir(parents=True)
            (supply / "type").write_text(f"{kind}\n")
            (supply / "capacity").write_text(f"{charge}\n")
        assert node.battery(tmp_path) == 0.43

    def test_machine_without_sensors(self, tmp_path: Path) -> None:
        assert node.temperature(tmp_path) is None
        assert node.battery(tmp_path) is None


class TestReportBuffer:
    def sequences(self, buffer: ReportBuffer, count: int = 10**6) -> list[int]:
        return [held.sequence for held in buffer.oldest(count)]

    def test_survives_a_restart_in_order(self, tmp_path: Path) -> None:
        first = ReportBuffer(tmp_path)
        for number in range(5):
            first.append(report(sequence=number))
        first.discard(2)
        again = ReportBuffer(tmp_path)
        again.append(report(sequence=5))
        assert len(again) == 6
        assert self.sequences(again)[-3:] == [2, 3, 4]
        again.discard(5)
        assert self.sequences(again) == [5]

    def test_line_cut_short_by_a_crash_costs_that_report_alone(self, tmp_path: Path) -> None:
        buffer = ReportBuffer(tmp_path)
        for number in range(3):
            buffer.append(report(sequence=number))
        (segment,) = tmp_path.glob("*.reports")
        segment.write_bytes(segment.read_bytes()[:-40])
        again = ReportBuffer(tmp_path)
        again.append(report(sequence=3))
        taken = self.sequences(again)
        again.discard(len(taken))
        assert taken + self.sequences(again) == [0, 1, 3]

    def test_oldest_go_when_it_is_full_and_are_counted(self, tmp_path: Path) -> None:
        buffer = ReportBuffer(tmp_path, max_bytes=8 * KIB)
        for number in range(100):
            buffer.append(report(sequence=number))
        on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
        assert on_disk <= 8 * KIB
        assert buffer.dropped + len(buffer) == 100
        kept = []
        while batch := buffer.oldest(7):
            kept += [held.sequence for held in batch]
            buffer.discard(len(batch))
        assert kept == list(range(buffer.dropped, 100))
        assert not list(tmp_path.iterdir())

    def test_no_more_come_together_than_fit_a_request_and_one_at_least(self, tmp_path: Path) -> None:
        buffer = ReportBuffer(tmp_path)
        for number, names in enumerate((0, 250, 250, 250, 1000, 0)):
            waits = TrainingPart(state="paused", incarnation="i", waits_for=("n" * 240,) * names)
            buffer.append(report(sequence=number, training=waits))
        taken = []
        while held := self.sequences(buffer):
            taken.append(held)
            buffer.discard(len(held))
        assert taken == [[0, 1, 2], [3], [4], [5]]

    def test_full_disk_drops_the_report_and_nothing_else(self, tmp_path: Path) -> None:
        buffer = ReportBuffer(tmp_path / "buffer")
        buffer.append(report(sequence=0))
        (tmp_path / "buffer" / "000000000001.reports").unlink()
        (tmp_path / "buffer").rmdir()
        buffer.append(report(sequence=1))
        assert buffer.dropped == 1

    def test_sequence_rises_over_restarts(self, tmp_path: Path) -> None:
        numbers = []
        for _ in range(3):
            sequence = Sequence(tmp_path / "sequence")
            numbers += [sequence.next(), sequence.next()]
        assert numbers == sorted(set(numbers))


class TestHeartbeat:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        heartbeat = Heartbeat(1.5, "reduce", 7, 3)
        write_heartbeat(tmp_path, heartbeat)
        assert read_heartbeat(tmp_path) == heartbeat

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"phase": "reduce"}'])
    def test_what_cannot_be_read_is_none(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "heartbeat.json").write_text(text)
        assert read_heartbeat(tmp_path) is None
