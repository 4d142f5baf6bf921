"""The command line: one module a command; nothing but argument handling and printing."""
