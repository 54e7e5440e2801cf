"""The pages and panels as Dash components."""
