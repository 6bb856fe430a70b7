"""A Secret's volume, as kubelets keep it: files are links through `..data`, which is turned in one step."""

from pathlib import Path

from edgetrain_operator.fleet.ca import KeyPair


class Mounted:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._versions = 0
        directory.mkdir()

    def turn_to(self, pair: KeyPair, authorities: str) -> None:
        """Bring a certificate and the authorities (PEM) that verify it; the version before is gone."""
        data = self.directory / "..data"
        before = data.resolve() if data.is_symlink() else None
        self._versions += 1
        version = self.directory / f"..version-{self._versions}"
        version.mkdir()
        files = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authorities}
        for name, text in files.items():
            (version / name).write_text(text)
        draft = self.directory / "..data_tmp"
        draft.symlink_to(version.name)
        draft.rename(data)
        for name in files:
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        for path in before.iterdir() if before else ():
            path.unlink()
