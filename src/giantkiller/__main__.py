"""The command line's entry: `giantkiller`, and `python -m giantkiller`."""

import signal


def main() -> None:
    """Run the command line."""
    # Until it can say so in one line, Ctrl-C ends it as the system does, not with a traceback of imports.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from giantkiller.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
