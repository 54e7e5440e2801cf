import json

from tests.dashboard.pages.test_transaction_panel import words

from dashboard.pages import trial


def test_an_empty_field_is_left_out_so_that_the_api_names_it() -> None:
    assert json.loads(trial.form_body({"hash": "x", "fee": None, "size": 1})) == {
        "hash": "x",
        "size": 1,
    }


def test_a_refusal_names_the_field_and_what_is_wrong_with_it() -> None:
    error = {"field": "fee", "value": '"a"', "allowed": "a whole number", "message": "not a number"}
    said = words(trial.refusal(422, {"title": "Unprocessable", "detail": "1", "errors": [error]}))
    assert "fee: not a number" in said


def test_an_error_without_any_words_is_still_told() -> None:
    assert "The API answered 500" in words(trial.refusal(500, {}))
