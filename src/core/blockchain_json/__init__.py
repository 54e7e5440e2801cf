"""The JSON of Blockchain.com: its schema, its scripts, and the transaction that it describes."""
