"""The fuzz's first cases, the same in every run; ``python -m tests.fuzz`` runs more."""

import pytest
from fuzz import check

CASES, EACH = 320, 20


@pytest.mark.parametrize("first", range(0, CASES, EACH))
def test_random_models_data_and_calls(first):
    for number in range(first, first + EACH):
        check(number)
