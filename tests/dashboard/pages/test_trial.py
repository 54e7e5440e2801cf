import json

from tests.support.dashboard_api import prediction
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


def test_the_answer_says_the_market_whose_it_is_and_which_rules_flag() -> None:
    body = trial.form_body(dict(trial.EXAMPLE) | {"fee": 500_000, "market_fee_rate": None})
    text = as_text(trial.answer_view(200, prediction(json.loads(body)), body))
    assert (
        "Going fee rate 15.5 sat/vB: what the stream has measured, as of 2026-11-28 14:03" in text
    )
    assert "By rule: fee above limits." in text and "by model and rule" in text
    body = trial.form_body(dict(trial.EXAMPLE) | {"market_fee_rate": 3.5})
    text = as_text(trial.answer_view(200, prediction(json.loads(body)), body))
    assert "Going fee rate 3.5 sat/vB: as you gave it." in text


def test_an_answer_by_rules_alone_has_no_score() -> None:
    body = trial.form_body(trial.EXAMPLE)
    answer = prediction(json.loads(body)) | {"model_version": "rules", "anomaly_score": 0.0}
    text = as_text(trial.answer_view(200, answer, body))
    assert "—" in text and '"0.000"' not in text and "there was no model" in text
