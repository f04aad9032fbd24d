"""`python -m gentoolkit` is `gentool`."""

from gentoolkit.cli import main

if __name__ == "__main__":
    main()
