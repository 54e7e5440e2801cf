"""The analyst's screen."""
