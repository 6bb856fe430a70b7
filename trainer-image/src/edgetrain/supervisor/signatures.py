"""Whether the operator has signed something: with the key of any of its authorities that pods trust."""

import base64
import re

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def is_signed(content: bytes, signature: str, authorities: str) -> bool:
    """Whether `signature` (base64) is one of `content` by any of `authorities` (PEM). Loads a large library
    the first time: not for the thread that heartbeats wait for, nor for a start.

    A certificate that the library cannot read, or of another kind of key, has signed nothing: the bundle may
    hold what others issue. Times are not looked at, as between pods (`edgetrain.credentials`).
    """
    if not signature:
        return False
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    for certificate in _CERTIFICATE.findall(authorities):
        try:
            key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(base64.b64decode(signature, validate=True), content, ec.ECDSA(SHA256()))
                return True
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            continue
    return False
