"""`python -m gentoolkit.cli` is `gentool`."""

from gentoolkit.cli import main

if __name__ == "__main__":
    main()
