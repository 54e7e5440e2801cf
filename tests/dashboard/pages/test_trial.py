import json

from tests.support.dashboard_backend import as_text

from dashboard.pages import trial


def test_an_empty_field_is_left_out_so_that_the_api_names_it() -> None:
    body = trial.form_body({"hash": "x", "fee": None, "size": 1})
    assert json.loads(body) == {"hash": "x", "size": 1}


def test_a_refusal_names_the_field_and_what_is_wrong_with_it() -> None:
    error = {"field": "fee", "value": '"a"', "allowed": "a whole number", "message": "not a number"}
    text = as_text(
        trial.refusal_view(422, {"title": "Unprocessable", "detail": "1", "errors": [error]})
    )
    assert "fee: not a number" in text


def test_an_error_without_any_text_is_still_shown() -> None:
    assert "The API answered 500" in as_text(trial.refusal_view(500, {}))
