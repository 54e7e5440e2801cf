"""The detector: a flattened Isolation Forest, its calibration, and the verdicts with reasons."""
