"""`python -m pgcheck` is `pgcheck`."""

from pgcheck.cli.main import main

if __name__ == "__main__":
    main()
