"""Which cipher TLS prefers, by what this processor can.

OpenSSL asks for AES first, on every processor. One without instructions for it does ChaCha20 several times as
fast (docs/benchmarks.md, `secure`). Python can order the ciphers of TLS 1.3 from 3.15 on; before, OpenSSL's
configuration can, which a process reads when it first uses OpenSSL.
"""

import contextlib
import os
import re
from collections.abc import MutableMapping
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
_FLAGS = re.compile(r"^(?:flags|Features)\s*:.*\baes\b", re.MULTILINE)
_CHACHA20_FIRST = {"OPENSSL_CONF": str(Path(__file__).with_name("chacha20.cnf"))}


def wanted(cpu_info: str) -> dict[str, str]:
    """Variables for processes on the processor of which the kernel says this (x86 and ARM)."""
    return {} if _FLAGS.search(cpu_info) else dict(_CHACHA20_FIRST)


def prefer_what_is_fast(env: MutableMapping[str, str] = os.environ, cpu_info: Path = CPU_INFO) -> None:
    """For this process, where nothing has loaded OpenSSL yet, and for those that it starts. Whoever names a
    configuration of OpenSSL's keeps it."""
    with contextlib.suppress(OSError):
        for name, value in wanted(cpu_info.read_text()).items():
            env.setdefault(name, value)
