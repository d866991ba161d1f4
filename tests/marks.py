"""Which cases run by default, and which with the slow tests: a program compiles for most of a test's time."""

import pytest


def few(cases, *kept):
    """The cases of `parametrize`, those that are not kept marked as slow."""
    assert set(kept) <= set(cases), f"{set(kept) - set(cases)} are no cases"
    return [case if case in kept else pytest.param(case, marks=pytest.mark.slow) for case in cases]
