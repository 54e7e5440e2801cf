"""A small server with the answers of the API and of the trainer's metrics endpoint."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = {
    "name": "BitcoinAnomalyDetection",
    "version": "3",
    "alias": "champion",
    "trained_at": "2026-11-23T08:00:00+00:00",
    "origin": "simulated",
    "rows": 20_000,
    "threshold": 0.62,
    "budget": 0.002,
    "features": [
        {
            "name": "fee_rate",
            "words": "fee rate",
            "formula": "fee / (weight / 4)",
            "unit": "sat/vB",
            "source": "BIP 141",
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
    "facts": {
        "evaluation": {
            "flag_rate": 0.0019,
            "recall_held_out_kinds": 0.91,
            "recall_choosing_kinds": 0.97,
            "recall_fee_overpaid": 1.0,
            "auc_fee_overpaid": 0.999,
            "recall_dust_fan_out": 0.86,
            "recall_very_large_value": 0.78,
        }
    },
}
REASON = {
    "feature": "fee_rate",
    "value": 2000.0,
    "usual_low": 4.1,
    "usual_high": 92.0,
    "contribution": 3.2,
}
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
        "reasons": [REASON] if anomalous else [],
        "warnings": ["fee is not inputs minus outputs"],
        "model_version": "3",
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


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, DRIFT.encode(), "text/plain")
        else:
            self._json(200, MODEL)

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            body = json.loads(text)
        except ValueError:
            self._json(
                400,
                {
                    "title": "Bad Request",
                    "status": 400,
                    "errors": [],
                    "detail": "The body is not JSON.",
                },
            )
            return
        problem = problem_document(body)
        if problem:
            self._json(422, problem)
        else:
            raw = {"hash": body["hash"], "fee": body["fee"], "weight": body.get("weight", 1000)}
            self._json(200, prediction(raw))

    def _json(self, status: int, answer: dict[str, Any]) -> None:
        self._answer(status, json.dumps(answer).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


class FakeApi:
    """Listens on a port; `stop` frees it, `start` takes it again."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
