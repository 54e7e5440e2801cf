from typing import Any

import requests

from data_processing.chores.webhook import Webhook


class Receiver:
    """Takes posts, failing the first few; its clock moves with each sleep."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.now = failures, 0.0
        self.payloads: list[dict[str, Any]] = []

    def send(self, url: str, payload: dict[str, Any]) -> None:
        assert url == "http://localhost/"
        if self.failures:
            self.failures -= 1
            raise requests.ConnectionError("refused")
        self.payloads.append(payload)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def webhook(self, per_minute: int = 10) -> Webhook:
        return Webhook(
            "http://localhost/", per_minute, self.send, lambda: self.now, sleep=self.sleep
        )


def a_message(number: int) -> dict[str, Any]:
    return {"hash": f"{number:064x}", "explanation": "Unusual."}


def send(webhook: Webhook, *numbers: int) -> None:
    for number in numbers:
        webhook.notify(a_message(number))
        webhook.post_next(wait_seconds=0)


def test_a_post_says_why_and_carries_all_facts() -> None:
    receiver = Receiver()
    send(receiver.webhook(), 1)
    assert receiver.payloads == [{"text": "Unusual.", **a_message(1)}]


def test_a_hash_is_posted_once() -> None:
    receiver = Receiver()
    send(receiver.webhook(), 1, 1, 2, 1)
    assert [payload["hash"][-1] for payload in receiver.payloads] == ["1", "2"]


def test_a_failed_post_is_retried_and_given_up_in_the_end() -> None:
    receiver = Receiver(failures=2)
    send(receiver.webhook(), 1)
    assert (len(receiver.payloads), receiver.now) == (1, 3.0)
    receiver.failures = 4
    send(receiver.webhook(), 2)
    assert len(receiver.payloads) == 1


def test_what_is_held_back_is_summed_up_after_the_minute() -> None:
    receiver = Receiver()
    webhook = receiver.webhook(per_minute=2)
    send(webhook, 1, 2, 3, 4, 5)
    assert len(receiver.payloads) == 2
    receiver.now = 61
    webhook.post_next(wait_seconds=0)
    assert receiver.payloads[2]["held_back"] == 3
    assert [text[-1] for text in receiver.payloads[2]["hashes"]] == ["3", "4", "5"]
    send(webhook, 6)
    assert receiver.payloads[3]["hash"] == a_message(6)["hash"]
