"""The model registry in MLflow: its API, the files of a version, and the champion's alias."""
