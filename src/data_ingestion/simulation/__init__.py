"""A simulated Bitcoin network behind the API of Blockchain.com, offline, with faults on demand."""
