"""Comparisons with what a skilled user would run instead; ``make bench`` runs all, RESULTS.md holds the results."""
