import sys

import pytest

from gentoolkit.cli import cli
from gentoolkit.cli.failures import exit_code_of


@pytest.fixture
def gentool(monkeypatch, capfd):
    """Run `gentool` in this process and return exit code, stdout and stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gentool", *map(str, arguments)])
        code = exit_code_of(cli)
        out, err = capfd.readouterr()
        return code, out, err

    return call
