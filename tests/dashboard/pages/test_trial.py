import json

from tests.support.blockchain_samples import payment
from tests.support.dashboard_api import prediction
from tests.support.dashboard_backend import as_text

from api.scoring import inconsistencies
from core.transaction import Transaction
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


def test_pasted_json_shows_the_hash_and_the_fields_that_were_read() -> None:
    body = json.dumps(payment())
    text = as_text(trial.answer_view(200, prediction(trial.EXAMPLE), body))
    assert payment()["hash"] in text
    assert f"{payment()['weight']:,} weight units" in text


def test_what_cannot_be_is_said_before_the_verdict() -> None:
    body = trial.form_body(trial.EXAMPLES["more out than in"])
    answer = prediction(json.loads(body)) | {"warnings": ["input_value is not the sum"]}
    text = as_text(trial.answer_view(200, answer, body))
    assert text.index("input_value is not the sum") < text.index("Why")


def test_the_examples_are_what_they_are_called() -> None:
    for name, example in trial.EXAMPLES.items():
        transaction = Transaction.model_validate(example)
        assert bool(inconsistencies(transaction)) == (name == "more out than in"), name


def test_a_bare_hash_is_no_transaction_but_leads_to_one() -> None:
    assert trial.hash_of(" " + "AB" * 32 + "\n") == "ab" * 32
    assert trial.hash_of("ab" * 31) is None and trial.hash_of("{}") is None
    assert f'"/x/#{"ab" * 32}"' in as_text(trial.hash_view("ab" * 32, "/x/"))
