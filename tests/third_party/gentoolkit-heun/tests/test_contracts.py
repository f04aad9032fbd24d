from gentoolkit.testing import contract_tests

test_contracts = contract_tests("gentoolkit-heun")
