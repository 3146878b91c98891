"""The command line: one function a verb, what people see and take away."""
