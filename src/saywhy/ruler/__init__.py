"""Calibration of the ruler: planted rules, and the metrics tested on explainers whose truth is known."""
