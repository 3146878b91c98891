"""Tasks and their texts: task files, rows of data, the pools of a run, the words of a corpus."""
