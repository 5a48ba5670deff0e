"""The command line."""

from pgcheck.cli.main import main as main
