"""Reading: the Delta tables, the API and the trainer. No other folder of the dashboard does I/O."""
