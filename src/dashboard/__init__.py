"""The analyst's web page: what arrives, which transactions are unusual, and why."""
