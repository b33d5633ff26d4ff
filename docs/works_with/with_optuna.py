"""A search with Optuna that ends bad trials early."""

import optuna
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from sklearn_sgdopt import GradientDescentRegressor

X, y = load_diabetes(return_X_y=True, scaled=False)
X_train, X_val, y_train, y_val = train_test_split(X, y, random_state=0)


def objective(trial):
    model = GradientDescentRegressor(
        trial.suggest_categorical("solver", ["sgd", "momentum", "adam"]),
        penalty="l2",
        alpha=trial.suggest_float("alpha", 1e-5, 10.0, log=True),
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 0.3, log=True),
        random_state=0,
    )
    for epoch in range(20):
        model.partial_fit(X_train, y_train, X_val=X_val, y_val=y_val)
        trial.report(model.validation_curve_[-1], epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return model.validation_curve_[-1]


study = optuna.create_study(
    sampler=optuna.samplers.TPESampler(seed=0), pruner=optuna.pruners.MedianPruner(n_warmup_steps=3)
)
study.optimize(objective, n_trials=30)

untuned = GradientDescentRegressor(random_state=0).fit(X_train, y_train, X_val=X_val, y_val=y_val)
assert study.best_value <= 1.02 * untuned.validation_curve_[-1]
assert any(trial.state.name == "PRUNED" for trial in study.trials)
