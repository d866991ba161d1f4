"""Which cases run by default, which at the gate, and which by `pytest -m exhaustive`: most of a test is compilation."""

import pytest


def few(cases, *kept, rest="slow"):
    """The cases of `parametrize`; those that are not kept are marked with `rest`, "slow" or "exhaustive"."""
    assert set(kept) <= set(cases), f"{set(kept) - set(cases)} are no cases"
    return [case if case in kept else pytest.param(case, marks=getattr(pytest.mark, rest)) for case in cases]
