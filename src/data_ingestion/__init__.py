"""From the Blockchain.com API to Kafka."""
