"""Who is told of which case, when, and until they have it."""
