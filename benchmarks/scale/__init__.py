"""What a grid of studies costs on other machines than these: counted, extrapolated, simulated."""
