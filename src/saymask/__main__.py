"""The installed command, and `python -m saymask`: Ctrl-C while libraries are imported ends it as quietly as later."""

import sys


def main() -> None:
    """Entry point."""
    try:
        from saymask.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
