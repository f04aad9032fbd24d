"""The shipped plugins keep their contracts, by the same line as anyone else's."""

from gentoolkit.testing import contract_tests

test_contracts = contract_tests("gentoolkit")
