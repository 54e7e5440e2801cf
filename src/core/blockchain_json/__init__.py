"""The JSON of Blockchain.com: its schema, its scripts, and the transactions that it describes."""
