"""How numbers are written and which colours the page has."""
