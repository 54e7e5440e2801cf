"""What receivers get, as each form needs it, and what is said of a failure."""

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from email import message_from_string, policy
from types import SimpleNamespace
from typing import Any

import apprise
import pytest
import requests
from tests.support.alert_samples import route
from tests.support.http_receiver import HttpReceiver

from casework.alerting.alert_text import Message
from casework.alerting.receivers import NotDeliveredError, receivers_of

SECRET = "a secret of many letters"
MARKUP = '<b>bold</b> & <script>x</script> *star* _line_ `code` [link](http://evil/) <!channel> "q"'
MESSAGE = Message(
    "team-1", "alert", f"[high] {MARKUP}", f"{MARKUP}\nsecond line", "high", {"case": 1}
)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver().start()
    yield receiver
    receiver.stop()


def send(message: Message = MESSAGE, **content: Any) -> None:
    (to,) = receivers_of(route(**content))
    to(message)


def hook(receiver: HttpReceiver, path: str = "/hook") -> dict[str, Any]:
    return {"to": (), "webhook": {"url": f"http://{receiver.address}{path}", "secret": SECRET}}


def test_a_webhook_gets_json_that_its_secret_verifies(receiver: HttpReceiver) -> None:
    send(**hook(receiver))
    ((headers, body),) = receiver.posts
    expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Signature-256"] == f"sha256={expected}"
    content = json.loads(body)
    assert (content["id"], content["severity"], content["case"]) == ("team-1", "high", 1)
    assert content["text"] == MESSAGE.text and content["sent_at"].endswith("+00:00")


@pytest.mark.parametrize("status", [302, 400, 500])
def test_a_webhook_that_does_not_accept_is_a_failure_without_its_url(
    receiver: HttpReceiver, status: int
) -> None:
    receiver.status = status
    with pytest.raises(NotDeliveredError) as error:
        send(**hook(receiver, "/hidden"))
    assert str(error.value) == f"it answered with status {status}"


def test_a_webhook_that_is_down_is_a_failure_without_its_url(receiver: HttpReceiver) -> None:
    receiver.stop()
    with pytest.raises(NotDeliveredError) as error:
        send(**hook(receiver, "/hidden"))
    assert str(error.value) == "no connection: ConnectionError"


@pytest.mark.parametrize("host", ["hooks..localhost", f"{'a' * 64}.localhost"])
def test_a_webhook_whose_host_cannot_be_one_is_a_failure_as_any_other(host: str) -> None:
    with pytest.raises(NotDeliveredError, match="no connection") as error:
        send(to=(), webhook={"url": f"http://{host}/hidden", "secret": SECRET})
    assert "hidden" not in str(error.value)


def test_apprise_sends_plain_text(receiver: HttpReceiver) -> None:
    send(to=[f"json://{receiver.address}/path"])
    (content,) = receiver.bodies()
    assert (content["title"], content["message"]) == (MESSAGE.title, MESSAGE.text)


def test_what_apprise_says_of_a_failure_has_no_secret(
    receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    with pytest.raises(NotDeliveredError) as error:
        send(to=[f"json://user:password@{receiver.address}/hidden-path"])
    assert "500" in str(error.value)
    for secret in ("password", "hidden", "user"):
        assert secret not in str(error.value) + caplog.text


def test_a_plugin_that_breaks_is_a_failure_without_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("http://hidden")

    monkeypatch.setattr(apprise.Apprise, "notify", broken)
    with pytest.raises(NotDeliveredError) as error:
        send(to=["json://localhost/hidden"])
    assert str(error.value) == "JSON: it raised KeyError"


class Posts:
    """Stands for a service on the internet: notes what is posted, and answers that all is well."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bodies: list[Any] = []
        monkeypatch.setattr(requests, "post", self)
        monkeypatch.setattr(requests, "request", lambda _, *a, **k: self(*a, **k))

    def __call__(self, _: str, data: Any = None, **__: Any) -> Any:
        self.bodies.append(json.loads(data) if isinstance(data, str | bytes) else data)
        answer = {"ok": True, "result": {"message_id": 1}, "status": "success"}
        return SimpleNamespace(
            status_code=200,
            content=b"ok",
            text=json.dumps(answer),
            headers={},
            json=lambda: answer,
        )


def test_in_slack_markup_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    posts = Posts(monkeypatch)
    send(to=["slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"])
    text = json.dumps(posts.bodies[0])
    assert "&lt;!channel&gt;" in text and "&lt;script&gt;" in text
    assert "<" not in text
    assert '"mrkdwn": true' not in text


def test_in_telegram_markup_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    posts = Posts(monkeypatch)
    send(to=["tgram://123456789:AABBCCDDEEFFGGHHIIJJKKLLMMNNOOPPQQR/12345/"])
    (body,) = posts.bodies
    assert body["parse_mode"].lower() == "html"
    assert "&lt;b&gt;bold&lt;/b&gt;" in body["text"] and "<script" not in body["text"]
    assert "second line" in body["text"]


def test_in_mail_markup_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    mails: list[str] = []

    class Smtp:
        def __init__(self, *_: object, **__: object) -> None:
            """Connect to nobody."""

        def sendmail(self, _: object, __: object, mail: str) -> None:
            mails.append(mail)

        def __getattr__(self, _: str) -> Any:
            return lambda *_, **__: None

    monkeypatch.setattr("smtplib.SMTP", Smtp)
    monkeypatch.setattr("smtplib.SMTP_SSL", Smtp)
    send(to=["mailtos://me:password@example.com?from=me@example.com&to=you@example.com"])
    mail = message_from_string(mails[0], policy=policy.default)
    parts = [part for part in mail.walk() if not part.is_multipart()]
    for part in parts:
        text = part.get_content()
        if part.get_content_type() == "text/html":
            assert "&lt;script&gt;" in text and "<script" not in text
        else:
            assert "<script>x</script>" in text
    assert parts and "\n" not in mail["Subject"]


def test_a_long_text_is_cut_where_the_service_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    posts = Posts(monkeypatch)
    long = MESSAGE._replace(text="begin " + "x" * 20_000)
    send(long, to=["tgram://123456789:AABBCCDDEEFFGGHHIIJJKKLLMMNNOOPPQQR/12345/"])
    assert len(posts.bodies) == 1
    assert "begin" in posts.bodies[0]["text"] and len(posts.bodies[0]["text"]) < 5_000


def test_a_service_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casework.alerting.receivers._POST_SECONDS", 0.2)
    with socket.create_server(("localhost", 0)) as silent:
        url = f"http://localhost:{silent.getsockname()[1]}/"
        with pytest.raises(NotDeliveredError, match="no answer within"):
            send(to=(), webhook={"url": url, "secret": SECRET})
