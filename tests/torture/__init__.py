"""Runs that are killed and run directories that are damaged, by the hundred.

`make test` does a few of each, `make torture` all of them. By hand, from the `tests` folder:

    python -m torture --help

A run trains a tiny network for a few steps, and the reference is the same run without an interruption. Whatever is
done to a run, `gentool` may only do one of two things: go on to exactly the weights and records of the reference, or
say what is wrong and exit with a code that means it.
"""
