"""The whole stack. A package, so that its stack ends with its last test, not with the run."""
