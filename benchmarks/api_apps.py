"""The endpoint that the API is measured against: the same models, as FastAPI documents it."""

from fastapi import FastAPI

from api.schemas import Prediction, SubmittedTransaction

nothing = FastAPI()


@nothing.post("/predict")
async def predict(transaction: SubmittedTransaction) -> Prediction:
    """Answer with a constant prediction."""
    return {
        "transaction_hash": transaction.hash,
        "anomaly_score": 0.4310283451,
        "is_anomaly": False,
        "explanation": "Not unusual enough for an alert: it scores at least as high as 41.20 % of "
        "recent traffic. Size 250 vB; usual 110 to 7,290 · fee rate 20 sat/vB; usual 10.5 to 70.",
        "percentile": 0.412,
        "threshold": 0.6871,
        "pattern": None,
        "patterns": [],
        "reasons": [
            {
                "feature": name,
                "value": 250.0,
                "usual_low": 109.25,
                "usual_high": 7290.8,
                "contribution": 0.25035,
            }
            for name in ("weight", "fee_rate", "mean_output")
        ],
        "warnings": [],
        "model_version": "1",
        "flagged_by": None,
        "rules": [],
        "market_fee_rate": 15.5,
        "market_as_of": None,
        "market_source": "caller",
    }
