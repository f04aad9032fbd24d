"""The packages in here have tests of their own, which run where they are installed: tests/test_third_party.py does."""

collect_ignore_glob = ["*"]
