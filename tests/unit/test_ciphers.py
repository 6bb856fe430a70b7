"""ChaCha20 where either end has no instructions for AES, AES where both have."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edgetrain.ciphers import prefer_what_is_fast, wanted
from tests.support.identities import credentials

X86 = "processor\t: 0\nflags\t\t: fpu sse2{} avx2\nbugs\t\t: spectre\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd{} crc32 cpuid\n"
AES, CHACHA20 = "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"

OTHER_END = """
import socket, sys
from pathlib import Path
from edgetrain.credentials import Credentials
credentials = Credentials(Path(sys.argv[1]), Path(sys.argv[1]) / "authorities.crt", "job")
with socket.socket(fileno=int(sys.argv[2])) as connection, getattr(credentials, sys.argv[3])(connection):
    pass
"""


@pytest.mark.parametrize("cpu_info", [X86, ARM])
def test_a_processor_is_told_by_its_flags(cpu_info: str) -> None:
    assert wanted(cpu_info.format(" aes")) == {}
    assert Path(wanted(cpu_info.format(" aeskl"))["OPENSSL_CONF"]).exists()


def test_whoever_names_a_configuration_keeps_it(tmp_path: Path) -> None:
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text(ARM.format(""))
    env = {"OPENSSL_CONF": "/etc/ours.cnf"}
    prefer_what_is_fast(env, cpu_info)
    assert env == {"OPENSSL_CONF": "/etc/ours.cnf"}
    env = {}
    prefer_what_is_fast(env, cpu_info)
    assert env == wanted(ARM.format(""))
    env = {}
    prefer_what_is_fast(env, tmp_path / "nothing")
    assert env == {}


@pytest.mark.parametrize(("theirs", "ours"), [("dial", "admit"), ("admit", "dial")])
@pytest.mark.parametrize(("cpu_info", "cipher"), [(ARM.format(""), CHACHA20), (ARM.format(" aes"), AES)])
def test_who_lacks_instructions_is_spoken_to_in_chacha20_whoever_dials(
    tmp_path: Path, theirs: str, ours: str, cpu_info: str, cipher: str
) -> None:
    here, _ = credentials(tmp_path, "w-a"), credentials(tmp_path, "w-b")
    near, far = socket.socketpair()
    words = [str(tmp_path / "job-w-b"), str(far.fileno()), theirs]
    env = {**os.environ, **wanted(cpu_info)}
    with near, subprocess.Popen([sys.executable, "-c", OTHER_END, *words], env=env, pass_fds=[far.fileno()]):
        far.close()
        near.settimeout(20)
        with getattr(here, ours)(near) as secured:
            assert secured.cipher()[0] == cipher
