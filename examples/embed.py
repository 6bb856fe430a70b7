"""Write digits.py into the ConfigMaps in digits.yaml and sites.yaml: python examples/embed.py."""

from pathlib import Path

HERE = Path(__file__).parent
MANIFESTS = (HERE / "digits.yaml", HERE / "sites.yaml")
MARK = "  main.py: |\n"
END = "---\n"


def embedded(manifest: str, program: str) -> str:
    """The manifest with this program as the ConfigMap's main.py."""
    before, _, rest = manifest.partition(MARK)
    after = rest[rest.index(END) :]
    lines = [f"    {line}" if line.strip() else line for line in program.splitlines(keepends=True)]
    return before + MARK + "".join(lines) + after


if __name__ == "__main__":
    for manifest in MANIFESTS:
        manifest.write_text(embedded(manifest.read_text(), (HERE / "digits.py").read_text()))
