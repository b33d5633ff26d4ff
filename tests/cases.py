"""What tables of tests have in common."""

from typing import Any

SOLVERS = ("gd", "sgd", "momentum", "adam")
RULES: dict[str, dict[str, Any]] = {
    **{solver: {"solver": solver} for solver in SOLVERS},
    "nesterov": {"solver": "momentum", "nesterov": True},
}


def rules_at(momentum: float, **rates: float) -> dict[str, dict[str, Any]]:
    """The rules with rates of theirs; Nesterov's is that of momentum."""
    rates |= {"momentum": momentum, "nesterov": momentum}
    return {name: rule | {"learning_rate": rates[name]} for name, rule in RULES.items()}
