"""What is asked of which texts: tasks, rows of data, the pools of a run, the words of a corpus."""
