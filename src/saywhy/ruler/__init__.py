"""Is the ruler right? Planted rules, metrics put to the test on explainers of known truth."""
