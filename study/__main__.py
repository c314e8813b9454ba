"""Entry point of ``python -m study``."""

import sys


def main() -> None:
    """Runs the command line. A Ctrl-C while it is still being imported ends it without a traceback."""
    try:
        from study.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
