"""The command line: a thin door to the use cases. Progress goes to standard error, results to standard output."""
