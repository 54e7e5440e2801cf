"""The activity page: from the URL's filters to numbers, figures, a table and a CSV file."""
