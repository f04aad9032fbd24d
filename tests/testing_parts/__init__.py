"""Small components of every kind, right ones and deliberately broken ones, for the tests of the contracts."""
