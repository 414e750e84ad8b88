"""The command line: each file parses one group of commands, calls the library and prints what it did."""
