"""Records as ingestion publishes them, made from random numbers, and a small real champion."""

import json
import random
from typing import Any

import numpy as np

from core.detector.calibration import calibrate
from core.detector.champion import Champion
from core.transaction import NUMERIC_FIELDS
from model.pipeline import ForestShape, fit

NOON = 1_790_000_000
A_MARKET = 110.0
"""The median fee rate of these transactions, in sat/vB."""


def a_hash(rng: random.Random) -> str:
    return f"{rng.getrandbits(256):064x}"


def a_transaction(rng: random.Random, **changes: Any) -> dict[str, Any]:
    output, fee = rng.randint(10_000, 10**9), rng.randint(200, 90_000)
    size = rng.randint(190, 900)
    return {
        "hash": a_hash(rng),
        "size": size,
        "weight": size * 3,
        "fee": fee,
        "inputs_count": rng.randint(1, 4),
        "outputs_count": 2,
        "input_value": output + fee,
        "output_value": output,
        "largest_output": output - 5_000,
        "smallest_output": 5_000,
        "spent_outpoints": [f"{rng.getrandbits(53)}:{rng.randint(0, 3)}"],
        "first_seen": NOON,
        "source": "mempool",
    } | changes


def a_block(rng: random.Random, height: int, hashes: list[str], **changes: Any) -> dict[str, Any]:
    return {
        "hash": a_hash(rng),
        "height": height,
        "previous_hash": "0" * 64,
        "time": NOON,
        "transaction_hashes": hashes,
    } | changes


def as_json(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


def a_champion(version: str = "1", budget: float = 0.02, trees: int = 20) -> Champion:
    rng = random.Random(7)
    rows = [a_transaction(rng) for _ in range(2_000)]
    numbers = np.array([[*(row[name] for name in NUMERIC_FIELDS), A_MARKET] for row in rows])
    pipeline = fit(numbers, ForestShape(trees))
    scores = -pipeline.score_samples(numbers)
    calibration = calibrate(
        numbers, scores, budget=budget, origin="simulated", trained_at="2026-01-02", facts={}
    )
    return Champion.from_pipeline(pipeline, calibration, version)
