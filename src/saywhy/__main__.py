"""``python -m saywhy``: what launchers start, which take a module's name."""

from saywhy.cli.app import main

if __name__ == "__main__":
    main()
