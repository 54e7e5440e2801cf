"""The HTTP routes, one module for each subject: predictions, anomalies of the stream, health."""
