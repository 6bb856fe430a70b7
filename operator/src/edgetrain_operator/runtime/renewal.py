"""What the fleet API is known by, renewed while it runs: our keyring, and a certificate that others issue."""

import asyncio
import logging
from datetime import UTC, datetime

from edgetrain_operator.fleet.external_certificate import Mount
from edgetrain_operator.fleet.keyring import KeyringStore, ensure
from edgetrain_operator.fleet.service import FleetService
from edgetrain_operator.fleet.tls import BadCertificate
from edgetrain_operator.kube.errors import KubeError

KEYRING_SECONDS = 3600.0
"""Between looks at whether an authority or a certificate of ours is due."""
MOUNT_SECONDS = 10.0
"""Between looks at the mounted certificate; the kubelet itself takes a minute or so to bring a new one."""

log = logging.getLogger(__name__)


async def renew_for_ever(store: KeyringStore, mount: Mount | None, service: FleetService) -> None:
    """Never returns; what fails is logged, and tried again while what was in use goes on being used."""
    parts = [_keyring_for_ever(store, service)]
    if mount is not None:
        parts.append(_mount_for_ever(mount, service))
    await asyncio.gather(*parts)


async def _keyring_for_ever(store: KeyringStore, service: FleetService) -> None:
    while True:
        await asyncio.sleep(KEYRING_SECONDS)
        try:
            service.use(await ensure(store, datetime.now(UTC)))
        except (KubeError, RuntimeError, ValueError) as error:
            log.error("the keyring could not be renewed, it is tried again: %s", error)


async def _mount_for_ever(mount: Mount, service: FleetService) -> None:
    told = ""
    while True:
        await asyncio.sleep(MOUNT_SECONDS)
        try:
            service.use_given(mount.look(datetime.now(UTC)))
            told = ""
        except BadCertificate as error:
            if told != (told := str(error)):
                log.error("the one before goes on being served, and the mount is looked at again: %s", error)
