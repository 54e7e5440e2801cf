import pytest
from pydantic import ValidationError

from data_ingestion.simulation.answers import NOT_FOUND, json_answer, words
from data_ingestion.simulation.faults import Fault


def test_an_answer_is_compact_json() -> None:
    answer = json_answer({"a": [1, 2]}, 201)
    assert (answer.status, answer.body) == (201, b'{"a":[1,2]}')


def test_the_404_has_the_sources_own_words() -> None:
    body = b'{"error":"not-found-or-invalid-arg","message":"Item not found or argument invalid"}'
    assert (NOT_FOUND.status, NOT_FOUND.body) == (404, body)


def test_what_is_wrong_is_said_by_field() -> None:
    with pytest.raises(ValidationError) as wrong:
        Fault.model_validate({"name": "slow", "count": 0, "probability": 7})
    assert words(wrong.value).count(";") == 1
    assert words(wrong.value).startswith("probability: ")
    assert words(ValueError("no such thing")) == "no such thing"
