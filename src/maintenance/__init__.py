"""Keeps the data of all services: backs it up, restores it, and brings it to this version."""
