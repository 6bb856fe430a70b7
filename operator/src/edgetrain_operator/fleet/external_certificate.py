"""A serving certificate that others issue and renew, cert-manager above all, mounted from a Secret.

It is followed through its renewals without a restart. As with our own authority, a CA is handed round in
the bundle before a certificate of it is served, or workers would be cut off until their kubelets bring it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from edgetrain_operator.fleet.ca import KeyPair
from edgetrain_operator.fleet.tls import BadCertificate, check

FILES = ("tls.crt", "tls.key", "ca.crt")
"""As in a Secret of type kubernetes.io/tls that cert-manager fills."""
READS = 3
"""Of which a renewal spoils one; kubelets bring the next after a minute or so."""
HANDED_ROUND = timedelta(minutes=10)
"""For a new bundle to reach the workers' volumes: kubelets look every minute or so."""


@dataclass(frozen=True)
class ExternalCertificate:
    """One certificate with its chain, and the authorities that verify it."""

    pair: KeyPair
    authorities: str
    """PEM"""
    serve_from: datetime


@dataclass(frozen=True)
class Offer:
    """What to serve now, and whom the workers shall trust."""

    pair: KeyPair
    authorities: str
    """PEM of all that one of our replicas may be serving from."""


def followed(
    known: Sequence[ExternalCertificate], pair: KeyPair, authorities: str, now: datetime
) -> tuple[ExternalCertificate, ...]:
    """The certificates to remember, newest first, after this one was found mounted."""
    if known and (known[0].pair, known[0].authorities) == (pair, authorities):
        return _without_replaced(known, now)
    met = (given.serve_from for given in known if given.authorities == authorities)
    serve_from = min(met, default=now + HANDED_ROUND if known else now)
    return _without_replaced((ExternalCertificate(pair, authorities, serve_from), *known), now)


def offer(known: Sequence[ExternalCertificate], now: datetime) -> Offer:
    """The newest certificate is served whose authorities every worker has had time to fetch.

    One that has expired is served only where there is no other.
    """
    valid = [given for given in known if given.pair.ends > now] or list(known[:1])
    served = next((given for given in valid if given.serve_from <= now), valid[-1])
    return Offer(served.pair, "".join(dict.fromkeys(given.authorities for given in known)))


class Mount:
    """A directory as kubelets fill it: `..data` is a link that they turn to a new version of all files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: tuple[ExternalCertificate, ...] = ()

    def look(self, now: datetime) -> Offer:
        """What is there now.

        Raises:
            BadCertificate: it cannot be used. What was offered before goes on being good.
        """
        pair, authorities = self._read()
        if not self._known or self._known[0].pair != pair or self._known[0].authorities != authorities:
            self._check(pair, authorities)
        self._known = followed(self._known, pair, authorities, now)
        return offer(self._known, now)

    def _read(self) -> tuple[KeyPair, str]:
        failure: Exception | None = None
        # A kubelet removes a version as it turns to the next, perhaps while it is being read.
        for _ in range(READS):
            try:
                return self._read_version()
            except (OSError, UnicodeDecodeError) as error:
                failure = error
        raise BadCertificate(f"{self._directory} must hold {', '.join(FILES)}: {failure}") from failure

    def _read_version(self) -> tuple[KeyPair, str]:
        # Through the link once: files of two versions would not fit each other.
        version = (self._directory / FILES[0]).resolve(strict=True).parent
        chain, key, authorities = ((version / name).read_text().strip() + "\n" for name in FILES)
        return KeyPair(chain, key), authorities

    def _check(self, pair: KeyPair, authorities: str) -> None:
        try:
            check(pair, authorities)
        except BadCertificate as error:
            raise BadCertificate(f"the certificate in {self._directory} cannot be used: {error}") from error


def _without_replaced(known: Sequence[ExternalCertificate], now: datetime) -> tuple[ExternalCertificate, ...]:
    """Without those whose successor has been served for so long that every replica has turned to it."""
    settled = (n for n, given in enumerate(known) if given.serve_from + HANDED_ROUND <= now)
    return tuple(known[: next(settled, len(known)) + 1])
