"""The command line: parsing, training runs, and their folders."""
