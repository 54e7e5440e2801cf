"""Ordinary traffic: who makes transactions, of which form, and numbers drawn accordingly."""
