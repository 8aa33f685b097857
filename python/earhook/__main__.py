"""`python -m earhook` is the command `earhook`."""

from earhook.cli import main

if __name__ == "__main__":
    main()
