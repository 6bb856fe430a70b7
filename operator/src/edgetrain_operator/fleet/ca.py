"""The operator's own certificate authority: pure functions over PEM text.

A new authority is handed out in the bundle long before it signs anything: a worker that was dark
when it was made must have met it, or it could never verify the fleet API again.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgetrain_protocol.names import FLEET_SERVER_NAME

AUTHORITY_LIFE = timedelta(days=3650)
SERVING_LIFE = timedelta(days=90)
SIGNS_AFTER = timedelta(days=90)
"""From an authority's making to its first signature, where an older one is there to sign meanwhile."""
BACKDATED = timedelta(days=1)
"""Edge nodes' clocks run late; the certificate must be valid for them too."""


@dataclass(frozen=True)
class KeyPair:
    certificate: str
    """PEM"""
    key: str
    """PEM, not encrypted: a Secret keeps it."""

    @cached_property
    def parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.encode())

    @property
    def made(self) -> datetime:
        return self.parsed.not_valid_before_utc + BACKDATED

    @property
    def ends(self) -> datetime:
        return self.parsed.not_valid_after_utc


def make_authority(now: datetime, life: timedelta = AUTHORITY_LIFE) -> KeyPair:
    """A self-signed CA that a strict verifier takes (RFC 5280: key usage, key identifiers)."""
    key = ec.generate_private_key(ec.SECP256R1())
    # The serial number in the name: two authorities of one name make verifiers try the wrong one.
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"edgetrain fleet CA {serial:x}"[:64])])
    builder = (
        _certificate(name, name, key.public_key(), serial, now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return _signed(builder, key, key)


def make_serving(authority: KeyPair, now: datetime, life: timedelta = SERVING_LIFE) -> KeyPair:
    """The fleet API's certificate, for the one name that clients verify."""
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH]
    return _issued(authority, FLEET_SERVER_NAME, x509.DNSName(FLEET_SERVER_NAME), purposes, now, life)


def make_identity(authority: KeyPair, worker: str, uri: str, now: datetime) -> KeyPair:
    """A pod's certificate, by which the other pods of its job know it, whichever of them dials; good for as
    long as its authority is. It has no DNS name: nobody takes its holder for the fleet API."""
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    life = max(authority.ends - now, timedelta())
    return _issued(authority, worker, x509.UniformResourceIdentifier(uri), purposes, now, life)


def _issued(
    authority: KeyPair,
    common_name: str,
    subject: x509.GeneralName,
    purposes: Sequence[x509.ObjectIdentifier],
    now: datetime,
    life: timedelta,
) -> KeyPair:
    ca_key = _private_key(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    serial = x509.random_serial_number()
    builder = (
        _certificate(name, authority.parsed.subject, key.public_key(), serial, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    return _signed(builder, key, ca_key)


def sign(authority: KeyPair, content: bytes) -> str:
    """A signature in base64, by which whoever trusts the authority knows that the operator said this."""
    return base64.b64encode(_private_key(authority).sign(content, ec.ECDSA(hashes.SHA256()))).decode()


def needs_renewal(pair: KeyPair, now: datetime) -> bool:
    """From two thirds of its life on: a third is left to retry in, and to hand an authority round."""
    return now >= pair.made + (pair.ends - pair.made) * 2 / 3


def renewed(authorities: Sequence[KeyPair], now: datetime) -> tuple[KeyPair, ...]:
    """Newest first: expired ones dropped, a new one put in front where the newest grows old."""
    valid = tuple(a for a in authorities if a.ends > now)
    if valid and not needs_renewal(valid[0], now):
        return valid
    return (make_authority(now), *valid)


def signer(authorities: Sequence[KeyPair], now: datetime) -> KeyPair:
    """The newest authority that every worker has had time to meet; at first, the only one."""
    met = (a for a in authorities if a.made + SIGNS_AFTER <= now)
    return next(met, authorities[-1])


def bundle(authorities: Sequence[KeyPair]) -> str:
    """PEM of all of them, as clients read it."""
    return "".join(authority.certificate for authority in authorities)


def _private_key(pair: KeyPair) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pair.key.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    serial: int,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, ca_key: ec.EllipticCurvePrivateKey
) -> KeyPair:
    pem = serialization.Encoding.PEM
    return KeyPair(
        builder.sign(ca_key, hashes.SHA256()).public_bytes(pem).decode(),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
    )
