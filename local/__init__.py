"""The whole stack without Docker: jars, broker, and one command that runs every service."""
