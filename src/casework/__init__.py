"""The service that makes cases of flags that belong together, and says so to who listens."""
