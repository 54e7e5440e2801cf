"""The ways to a person: Apprise's services, and a webhook whose body is signed.

A failure is told in words that have no URL in them: its path and its password are secrets.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import apprise
import requests
from pydantic import SecretStr

from casework.alerting.alert_text import Message
from casework.alerting.routes_file import Route, SignedWebhook

SIGNATURE_HEADER = "X-Signature-256"
_POST_SECONDS = 10
_LEAST_SECRET = 4
_ASSET = apprise.AppriseAsset(
    app_id="Bitcoin anomaly detection", app_desc="Alerts", async_mode=False, secure_logging=True
)

logging.getLogger("apprise").propagate = False  # what it logs may name a URL: see `result.logs`

Receiver = Callable[[Message], None]
"""Sends a message; raises `NotDeliveredError` unless the receiver has accepted it."""


class NotDeliveredError(Exception):
    """A receiver did not accept a message; the text says why, without any secret."""


def receivers_of(route: Route) -> tuple[Receiver, ...]:
    """Every receiver of a route, in the order of the file."""
    if route.webhook:
        return (signed_webhook(route.webhook),)
    return tuple(map(apprise_receiver, route.to))


def body(message: Message, at: datetime) -> bytes:
    """What a signed webhook gets: JSON with the time at which it is sent."""
    content = {
        "id": message.id,
        "sent_at": at.isoformat(timespec="seconds"),
        "kind": message.kind,
        "severity": message.severity,
        "title": message.title,
        "text": message.text,
        **message.data,
    }
    return json.dumps(content, allow_nan=False, ensure_ascii=False).encode()


def signature(secret: str, content: bytes) -> str:
    """The signature of a body, as its header has it.

    >>> signature("It's a Secret to Everybody", b"Hello, World!")
    'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    """
    return f"sha256={hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()}"


def signed_webhook(webhook: SignedWebhook) -> Receiver:
    """Posts JSON, with the signature of the body as a header."""

    def send(message: Message) -> None:
        content = body(message, datetime.now(UTC))
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: signature(webhook.secret.get_secret_value(), content),
        }
        try:
            with requests.post(
                webhook.url.get_secret_value(),
                data=content,
                headers=headers,
                timeout=_POST_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer:
                status = answer.status_code
        except requests.Timeout as error:
            raise NotDeliveredError(f"no answer within {_POST_SECONDS} s") from error
        except (requests.RequestException, ValueError) as error:  # the latter of a host's name
            raise NotDeliveredError(f"no connection: {type(error).__name__}") from error
        if not 200 <= status < 300:
            raise NotDeliveredError(f"it answered with status {status}")

    return send


def apprise_receiver(url: SecretStr) -> Receiver:
    """Sends by Apprise, as plain text: each service escapes it as its form needs.

    Text that is too long for a service is cut, unless the URL says otherwise.
    """
    plain = url.get_secret_value()

    def send(message: Message) -> None:
        service = apprise.Apprise.instantiate(plain, asset=_ASSET)
        if service is None:
            raise NotDeliveredError("Apprise can no longer use this URL")
        if "overflow=" not in plain:
            service.overflow_mode = apprise.OverflowMode.TRUNCATE
        alert = apprise.Apprise(asset=_ASSET)
        alert.add(service)
        try:
            result = alert.notify(
                message.text, title=message.title, body_format=apprise.NotifyFormat.TEXT
            )
        except Exception as error:  # whatever a plugin raises: its text may have the URL
            name = type(error).__name__
            raise NotDeliveredError(f"{service.service_name}: it raised {name}") from None
        if not result:
            said = " ".join(entry.message for entry in result.logs()) or "it was not accepted"
            raise NotDeliveredError(f"{service.service_name}: {without_secrets(said, plain)}")

    return send


def without_secrets(text: str, url: str) -> str:
    """A text in which every part of a URL but its scheme is replaced.

    >>> without_secrets("404 at /T0/abcdef", "slack://T0/abcdef/")
    '404 at /T0/***'
    """
    parts = urlsplit(url)
    rest = [parts.netloc, parts.username, parts.password, parts.query]
    rest += [*parts.path.split("/"), *parts.netloc.split("@"), *parts.query.split("&")]
    rest += [pair.split("=", 1)[-1] for pair in parts.query.split("&")]
    secrets = {part for each in rest if each for part in (each, unquote(each))}
    for secret in sorted({url, *secrets}, key=len, reverse=True):
        if len(secret) >= _LEAST_SECRET:
            text = text.replace(secret, "***")
    return text
