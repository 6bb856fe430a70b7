"""The keyring's Secret, in the operator's own namespace; the only Secret that it reads."""

from edgetrain_operator.fleet.keyring import Keyring
from edgetrain_operator.kube.client import Kube, Object
from edgetrain_operator.kube.errors import AlreadyExists, Conflict
from edgetrain_operator.kube.resources import SECRETS


class SecretKeyring:
    """Implements the fleet API's `KeyringStore`."""

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self._kube, self._namespace, self._name = kube, namespace, name
        self._version: str | None = None

    async def load(self) -> Keyring | None:
        found = await self._kube.find(SECRETS, self._name, self._namespace)
        self._version = found["metadata"]["resourceVersion"] if found else None
        return Keyring.from_secret(found.get("data") or {}) if found else None

    async def save(self, keyring: Keyring) -> bool:
        metadata = {"name": self._name, "namespace": self._namespace}
        body: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "data": keyring.to_secret(),
        }
        try:
            if self._version is None:
                await self._kube.create(SECRETS, body)
            else:
                metadata["resourceVersion"] = self._version
                await self._kube.replace(SECRETS, body)
        except (AlreadyExists, Conflict):
            return False
        return True
