"""A lab that is up, for whatever acts on it."""

from dataclasses import dataclass

from edgelab import machines, network
from edgelab.api import Api
from edgelab.errors import LabError
from edgelab.state import LabFiles, LabRecord, NodeRecord


@dataclass(frozen=True)
class Cluster:
    """Its name, files and record, as they were when this was made."""

    name: str
    files: LabFiles
    record: LabRecord

    @property
    def api(self) -> Api:
        return Api(str(self.record.addresses.control_plane), self.files.authority.files, self.files.admin)

    def node(self, name: str) -> NodeRecord:
        """A node's record.

        Raises:
            LabError: there is no such node; the text names those that there are.
        """
        if name not in self.record.nodes:
            known = ", ".join(self.record.nodes) or "none yet"
            raise LabError(f"lab {self.name!r} has no node {name!r}: it has {known}")
        return self.record.nodes[name]

    def is_on(self, name: str) -> bool:
        return machines.first_process(network.netns(self.name, name)) is not None
