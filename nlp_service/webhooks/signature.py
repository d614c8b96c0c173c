"""Signatures of the Standard Webhooks scheme, so that receivers can check them with a library that they have."""

import base64
import hashlib
import hmac

from nlp_service.store.webhooks import WHSEC


def signed_headers(secret: str, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that prove who sent a body, and when: HMAC-SHA256 of id, time and body.

    Parameters
    ----------
    secret
        `whsec_` and base64.
    message
        The id, which stays the same however often the message is sent.
    timestamp
        Of this attempt, in seconds since 1970.
    """
    key = base64.b64decode(secret.removeprefix(WHSEC))
    digest = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
