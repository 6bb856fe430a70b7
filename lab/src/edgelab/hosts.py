"""The names that a machine of the lab knows: its own. There is no DNS, and asking for it takes long."""

from pathlib import Path


def write_hosts(path: Path, name: str, address: str) -> None:
    """Write the file that the machine sees as /etc/hosts."""
    path.write_text(f"127.0.0.1 localhost\n{address} {name}\n")
