"""Measuring an explanation: predict, edit, recheck, ask, read, judge."""
