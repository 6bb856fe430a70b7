"""The lab's certificate authority. One for all of a lab: it lives as long as the lab does."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = datetime.timedelta(days=365)
_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path

    @staticmethod
    def at(directory: Path, name: str) -> "Pair":
        return Pair(directory / f"{name}.crt", directory / f"{name}.key")


@dataclass(frozen=True)
class Authority:
    """An authority kept as files; `issue` may be called by any later process."""

    files: Pair

    @staticmethod
    def create(directory: Path) -> "Authority":
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("edgelab", [])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(name, name, key.public_key()).add_extension(constraints, critical=True)
        files = Pair.at(directory, "ca")
        _write(files, builder.sign(key, hashes.SHA256()), key)
        return Authority(files)

    def issue(self, files: Pair, name: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> Pair:
        """Write a certificate for client and server use: user `name` in `groups`, valid for these hosts."""
        authority = x509.load_pem_x509_certificate(self.files.certificate.read_bytes())
        signer = serialization.load_pem_private_key(self.files.key.read_bytes(), password=None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
        builder = _builder(_name(name, groups), authority.subject, key.public_key())
        builder = builder.add_extension(usage, critical=False)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(list(map(_host, hosts))), critical=False
            )
        _write(files, builder.sign(signer, hashes.SHA256()), key)
        return files


def create_signing_key(files: Pair) -> Pair:
    """A key pair for service account tokens; `certificate` holds the bare public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    files.certificate.write_bytes(public)
    _write_key(files.key, key)
    return files


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=public_key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _SKEW,
        not_valid_after=now + _LIFETIME,
    )


def _name(name: str, groups: Sequence[str]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(files: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(files.key, key)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.touch(mode=0o600)
    path.write_bytes(pem)
