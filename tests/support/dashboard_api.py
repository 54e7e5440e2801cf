"""A small server with the answers of the API and of the trainer's metrics endpoint."""

import threading
import time
from html import escape
from typing import Any

from flask import Flask, Response, request
from werkzeug.serving import make_server

MODEL = {
    "name": "BitcoinAnomalyDetection",
    "version": "3",
    "alias": "champion",
    "trained_at": "2026-11-23T08:00:00+00:00",
    "origin": "simulated",
    "rows": 20_000,
    "threshold": 0.62,
    "budget": 0.002,
    "market": {"fee_rate": 18.2, "low": 6.1, "high": 73.0, "rows": 1_000, "as_of": ""},
    "features": [
        {
            "name": "fee_rate",
            "words": "fee rate",
            "formula": "fee / (weight / 4)",
            "unit": "sat/vB",
            "source": "BIP 141",
            "beside_market": True,
            "usual_low": 4.1,
            "usual_high": 92.0,
        },
        {
            "name": "fee_share",
            "words": "fee of the amount",
            "formula": "fee / input_value",
            "unit": "share",
            "source": "ratio",
            "usual_low": 1e-6,
            "usual_high": 0.1,
        },
    ],
    "rules": [
        {
            "name": "fee_above_amount",
            "words": "more is paid as fee than is sent",
            "source": "arithmetic",
        }
    ],
    "facts": {
        "market_fee_rate": 15.5,
        "budgets": [
            {
                "budget": budget,
                "threshold": threshold,
                "recall": recall,
                "weakest_kind": "dust_fan_out",
                "weakest_recall": recall - 0.05,
                "real_recall": real,
            }
            for budget, threshold, recall, real in (
                (0.0005, 0.66, 0.9, 0.58),
                (0.002, 0.62, 0.97, 0.77),
                (0.01, 0.55, 0.99, 0.93),
            )
        ],
        "evaluation": {
            "flag_rate": 0.0019,
            "recall_held_out_kinds": 0.91,
            "recall_choosing_kinds": 0.97,
            "recall_fee_overpaid": 1.0,
            "auc_fee_overpaid": 0.999,
            "recall_dust_fan_out": 0.86,
            "recall_very_large_value": 0.78,
            "real_flagged_accidents": 1.0,
            "real_flagged_wasabi_1_coinjoins": 0.73,
        },
    },
}
REASON = {
    "feature": "fee_rate",
    "value": 2000.0,
    "usual_low": 4.1,
    "usual_high": 92.0,
    "contribution": 3.2,
}


def part_metrics(now: float) -> str:
    """What producer, stream, API and trainer export, in one; all of them have just worked."""
    values = {
        "bitcoin_producer_source_last_success_timestamp_seconds": now - 2,
        "bitcoin_producer_last_published_timestamp_seconds": now - 1,
        "bitcoin_stream_last_batch_timestamp_seconds": now - 4,
        "bitcoin_stream_records_total": 7.2 * (now % 1_000_000),
        "bitcoin_stream_lag_records": 0,
        'bitcoin_stream_rows_total{table="scored_transactions"}': 7.2 * (now % 1_000_000),
        "bitcoin_api_model_version": 3,
        "bitcoin_trainer_last_training_timestamp_seconds": now - 7_300,
    }
    return "".join(f"{name} {value}\n" for name, value in values.items())


DRIFT = """# HELP bitcoin_trainer_drift_index drift
# TYPE bitcoin_trainer_drift_index gauge
bitcoin_trainer_drift_index{feature="fee_rate"} 0.31
bitcoin_trainer_drift_index{feature="fee"} 0.04
bitcoin_trainer_drift_index{feature="anomaly_score"} 0.08
"""


def prediction(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a transaction: an anomaly if it pays more than 1,000 sat/vB."""
    anomalous = body["fee"] * 4 / body["weight"] > 1_000
    return {
        "transaction_hash": body["hash"],
        "anomaly_score": 0.71 if anomalous else 0.42,
        "is_anomaly": anomalous,
        "explanation": "Unusual." if anomalous else "Not unusual enough for an alert.",
        "percentile": 0.9995 if anomalous else 0.5,
        "threshold": 0.62,
        "pattern": "fee_overpaid" if anomalous else None,
        "patterns": ["fee_overpaid"] if anomalous else [],
        "reasons": [REASON] if anomalous else [],
        "warnings": ["fee is not inputs minus outputs"],
        "model_version": "3",
        "flagged_by": "both" if anomalous else None,
        "rules": ["fee_above_limits"] if anomalous else [],
        "market_fee_rate": body.get("market_fee_rate", 15.5),
        "market_as_of": None if "market_fee_rate" in body else "2026-11-28T14:03:00+00:00",
        "market_source": "caller" if "market_fee_rate" in body else "stream",
    }


def problem_document(body: dict[str, Any]) -> dict[str, Any] | None:
    """The problem document for a body without a fee, else None."""
    if "fee" in body or "inputs" in body:
        return None
    error = {
        "field": "fee",
        "value": None,
        "allowed": "0 to 2100000000000000",
        "message": "Field required",
    }
    return {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "fee: field required.",
        "request_id": "x",
        "errors": [error],
    }


def _application(server: "FakeApi") -> Flask:
    application = Flask(__name__)

    @application.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok"}

    @application.get("/ready")
    def ready() -> dict[str, Any]:
        """As the producer says it."""
        return {"source": server.source}

    @application.get("/metrics")
    def metrics() -> Response:
        return Response(DRIFT + part_metrics(time.time()), mimetype="text/plain")

    @application.get("/model")
    def model() -> dict[str, Any]:
        return MODEL

    @application.get("/report")
    def report() -> tuple[str | dict[str, Any], int]:
        day = request.args.get("day", "yesterday")
        if day == "today":
            return {"status": 422, "detail": "day: a day is written as YYYY-MM-DD."}, 422
        return f"<h1>Daily report of {escape(day)}</h1>", 200

    @application.post("/predict")
    @application.post("/predict/raw")
    def predict() -> tuple[dict[str, Any], int]:
        body = request.get_json(silent=True)
        if body is None:
            detail = "The body is not JSON."
            return {"title": "Bad Request", "status": 400, "errors": [], "detail": detail}, 400
        problem = problem_document(body)
        if problem:
            return problem, 422
        return prediction(body | {"weight": body.get("weight", 1000)}), 200

    @application.post("/predict/counterfactuals")
    def counterfactuals() -> dict[str, Any]:
        body = request.get_json()
        half = {"field": "fee", "value": body["fee"] // 2, "anomaly_score": 0.6}
        return {
            "transaction_hash": body["hash"],
            "is_anomaly": body["hash"] not in server.unflagged,
            "changes": [] if server.hopeless else [half],
            "threshold": 0.62,
            "market_fee_rate": body.get("market_fee_rate", 15.5),
            "model_version": "3",
        }

    return application


class FakeApi:
    """Listens on a port; `stop` frees it, `start` takes the same port again.

    `source` is what the producer says of its source; nothing flags the hashes `unflagged`, and no
    change makes anything ordinary where all is `hopeless`.
    """

    def __init__(self) -> None:
        self._port = 0
        self.source: dict[str, Any] = {"silent_since": None}
        self.unflagged: set[str] = set()
        self.hopeless = False
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        application = _application(self)
        self._server = make_server("127.0.0.1", self._port, application, threaded=True)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
