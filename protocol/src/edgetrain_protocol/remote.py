"""What a job names by an address: where it is, what it has to be, and who may have it."""

from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from edgetrain_protocol.base import Document
from edgetrain_protocol.pods import Claim, ObjectName, VolumeSource
from edgetrain_protocol.rules import checked, one_of, rule

Uri = Annotated[str, StringConstraints(max_length=1024, pattern=r"^(file|https?|s3)://[^\s]+$")]
Sha256 = Annotated[str, StringConstraints(max_length=64, pattern=r"^[0-9a-f]{64}$")]

OF_A_SOURCE = (
    rule(
        "has(self.uri) || !(has(self.sha256) || has(self.secret))",
        "sha256 and secret are of what uri names: give uri, or remove them",
    ),
    rule(
        "!has(self.uri) || !self.uri.startsWith('http://') || has(self.sha256)",
        "over http:// anybody on the way can change what is fetched, and the hash beside it: give sha256, "
        "or use https://",
        field="uri",
    ),
)


class DataStore(Document):
    """Where the data set comes from, and where it is on the node."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            one_of(("volume", "claim"), "storage.data")[0],
            one_of(("volume", "claim", "uri"), "storage.data")[1],
            *OF_A_SOURCE,
        )
    )

    volume: VolumeSource | None = None
    """A volume source, as in a pod. With uri: where on the node it is kept, also for other jobs."""
    claim: Claim | None = None
    """A claim for each node of the job: it outlives the pods, and goes with the job. With uri: where it is
    kept."""
    uri: Uri | None = None
    """What every node fetches before the program starts, once: a file, an archive (.tar, .tar.gz, .tgz,
    .tar.bz2, .tar.xz, .zip), which is unpacked, or with a / at its end the directory of a SHA256SUMS and of
    the files that it lists. By file://, http://, https:// or s3://. Kept on the pod's own disk where neither
    volume nor claim is given. EDGETRAIN_DATA_DIR says where it is."""
    sha256: Sha256 | None = None
    """Of the file or archive, or of the SHA256SUMS; where unset, a file of the same name with .sha256 behind
    it lies beside it."""
    secret: ObjectName | None = None
    """A Secret with the store's keys. For s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
    AWS_REGION, AWS_ENDPOINT_URL. For http: username and password, or token. For both: ca.crt."""
