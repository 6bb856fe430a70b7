"""What a pod is known by: files that the operator puts into its Secret, and its name in its certificate."""

from typing import NamedTuple, Self

TOKEN = "token"
"""For the fleet API."""
CERTIFICATE = "tls.crt"
KEY = "tls.key"
"""The certificate and its key (PEM), for the other pods of the job."""
ISSUER = "ca.crt"
"""The authority that signed it (PEM): pods of one authority go on believing each other where the operator has
lost its own and made another."""
_SCHEME = "edgetrain://"


def worker_of(node_hash: str) -> str:
    """The name of the worker on the node with this hash, which labels its pods and their Secrets."""
    return f"w-{node_hash}"


class Identity(NamedTuple):
    """Whose certificate it is."""

    job_uid: str
    worker: str
    pod_uid: str

    @classmethod
    def from_uri(cls, text: str) -> Self:
        """Read the name in a certificate.

        Raises:
            ValueError: it is no pod's.
        """
        parts = text.removeprefix(_SCHEME).split("/")
        if not text.startswith(_SCHEME) or len(parts) != len(cls._fields) or not all(parts):
            raise ValueError(f"{text!r:.100} names no pod of a job")
        return cls(*parts)

    @property
    def uri(self) -> str:
        """The name in the certificate; none of its parts holds a slash."""
        return _SCHEME + "/".join(self)
