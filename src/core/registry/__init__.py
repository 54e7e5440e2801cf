"""The model registry in MLflow: asking it, reading a version safely, following the champion."""
