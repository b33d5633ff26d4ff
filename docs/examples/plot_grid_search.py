"""
Tuning with GridSearchCV
========================

The estimator is a scikit-learn estimator, so it is tuned like any other. Here: how strong should the
penalty be, and of which kind? 80 features, of which 8 matter, and only 120 samples.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

from sklearn_sgdopt import GradientDescentRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 80))
coef = np.zeros(80)
coef[:8] = 3.0
y = X @ coef + rng.normal(scale=5.0, size=120)

# %%
# Solver "gd" suits many small fits: the cost of its epochs does not grow with the number of samples.

search = GridSearchCV(
    GradientDescentRegressor("gd"),
    {"penalty": ["l1", "l2"], "alpha": np.logspace(-1.5, 1.5, 10)},
    scoring="neg_root_mean_squared_error",
    cv=5,
)
search.fit(X, y)
print(search.best_params_["penalty"], f"alpha = {search.best_params_['alpha']:.2f}")

# %%

results = search.cv_results_
figure, ax = plt.subplots()
for penalty, color, marker in (("l2", "#0072B2", "o"), ("l1", "#D55E00", "s")):
    chosen = results["param_penalty"] == penalty
    alpha = results["param_alpha"][chosen].astype(float)
    error = -results["mean_test_score"][chosen]
    spread = results["std_test_score"][chosen] / np.sqrt(5)
    ax.plot(alpha, error, marker=marker, color=color, label=f'penalty="{penalty}"')
    ax.fill_between(alpha, error - spread, error + spread, color=color, alpha=0.15, lw=0)
best = search.best_params_["alpha"], -search.best_score_
ax.annotate(
    "chosen", best, (0, -62), textcoords="offset points", ha="center", arrowprops={"arrowstyle": "->"}
)
ax.axhline(5.0, color="0.5", ls=":", lw=1.3)
ax.annotate("noise in y", (alpha[0], 5.0), (0, 4), textcoords="offset points", color="0.4")
ax.set(
    xscale="log",
    xlabel="strength of the penalty, alpha",
    ylabel="error in cross-validation (RMSE, units of y)",
    ylim=(4, None),
)
ax.legend()
plt.show()
