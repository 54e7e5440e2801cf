"""Floor 0: what a transaction is, and everything that more than one service must agree on."""
