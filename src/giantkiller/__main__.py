"""`python -m giantkiller`: the command line, where its script is not on the path."""

from giantkiller.cli.main import main

if __name__ == "__main__":
    main()
