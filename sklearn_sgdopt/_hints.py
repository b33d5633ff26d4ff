"""What was probably meant: names and values that neighbours give to parameters, in messages."""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# What SGDRegressor, MLPRegressor, older scikit-learn, torch and keras call things, and what it is here.
VALUE_HINTS: Mapping[tuple[str, Any], str] = {
    ("learning_rate", "optimal"): "learning_rate='auto' takes the rate from the data",
    ("learning_rate", "constant"): (
        "that is schedule='constant', the default; learning_rate is the rate itself"
    ),
    ("learning_rate", "invscaling"): "that is schedule='invscaling'; learning_rate is the rate itself",
    ("learning_rate", "adaptive"): "that is schedule='adaptive'; learning_rate is the rate itself",
    ("learning_rate", "cosine"): "that is schedule='cosine'; learning_rate is the rate itself",
    ("learning_rate", None): "leave it out, or give 'auto', for a rate that is taken from the data",
    ("schedule", "optimal"): "learning_rate='auto' takes the rate from the data, with schedule='constant'",
    ("schedule", None): "no schedule is schedule='constant'",
    ("penalty", "none"): "no penalty is None, without quotes",
    ("penalty", "ridge"): "that is penalty='l2'",
    ("penalty", "lasso"): "that is penalty='l1'",
    ("penalty", "elastic_net"): "that is penalty='elasticnet'",
    ("penalty", False): "no penalty is None",
    **{
        ("loss", name): "that is loss='squared_error'"
        for name in ("squared_loss", "mse", "ls", "l2", "mean_squared_error")
    },
    **{
        ("loss", name): "that is loss='quantile' with quantile=0.5"
        for name in ("mae", "l1", "lad", "absolute_error", "mean_absolute_error")
    },
    ("loss", "pinball"): "that is loss='quantile'",
    ("loss", "smooth_l1"): "that is loss='huber'",
    **{
        ("loss", name): "this is a regressor: for classes use SGDClassifier or LogisticRegression"
        for name in (
            "hinge",
            "log",
            "log_loss",
            "modified_huber",
            "perceptron",
            "squared_hinge",
            "cross_entropy",
        )
    },
    ("solver", "nesterov"): "that is solver='momentum' with nesterov=True",
    ("solver", "nag"): "that is solver='momentum' with nesterov=True",
    **{
        ("solver", name): "descent on all samples is solver='gd'"
        for name in (
            "batch",
            "bgd",
            "lbfgs",
            "newton-cg",
            "svd",
            "cholesky",
            "lsqr",
            "auto",
            "gradient_descent",
        )
    },
    ("solver", "minibatch"): "descent on batches is solver='sgd'",
    ("solver", "rmsprop"): "the nearest is solver='adam'",
    ("solver", "adamw"): "the nearest is solver='adam' with penalty='l2'",
    ("solver", "amsgrad"): "the nearest is solver='adam'",
    ("epochs", None): "epochs='auto' makes as many as the data ask for",
    ("epochs", -1): "epochs='auto' makes as many as the data ask for",
    ("batch_size", "auto"): "the default is 32; a number above that of the samples means all",
    ("batch_size", None): "a number above that of the samples means all",
    ("batch_size", -1): "a number above that of the samples means all",
    ("tol", "auto"): "the default is 1e-6, and None runs all epochs",
    ("n_jobs", 0): "None is one thread, -1 all processors",
}

NAME_HINTS: Mapping[str, str] = {
    **dict.fromkeys(("max_iter", "n_epochs", "n_iter", "num_epochs", "nb_epoch", "epoch"), "epochs"),
    **dict.fromkeys(("iterations", "max_epochs", "max_steps"), "epochs"),
    **dict.fromkeys(("eta0", "eta", "lr", "step_size", "learning_rate_init", "gamma"), "learning_rate"),
    **dict.fromkeys(("lr_schedule", "learning_rate_schedule", "scheduler"), "schedule"),
    **dict.fromkeys(("optimizer", "optimiser", "method", "algorithm"), "solver"),
    **dict.fromkeys(("batchsize", "batch", "minibatch_size", "mini_batch_size", "chunk_size"), "batch_size"),
    **dict.fromkeys(("lambda_", "reg", "reg_lambda", "weight_decay", "l2", "regularization"), "alpha"),
    **dict.fromkeys(("regularizer", "reg_type"), "penalty"),
    **dict.fromkeys(("criterion", "loss_function", "objective"), "loss"),
    **dict.fromkeys(("beta1", "beta_one"), "beta_1"),
    **dict.fromkeys(("beta2", "beta_two"), "beta_2"),
    **dict.fromkeys(("eps",), "epsilon"),
    **dict.fromkeys(("nesterovs_momentum", "nesterov_momentum"), "nesterov"),
    **dict.fromkeys(("normalize", "scale", "standardise"), "standardize"),
    **dict.fromkeys(("bias", "fit_bias", "use_bias", "intercept"), "fit_intercept"),
    **dict.fromkeys(("seed", "random_seed"), "random_state"),
    **dict.fromkeys(("patience", "n_iter_without_progress"), "n_iter_no_change"),
    **dict.fromkeys(("val_fraction", "validation_split"), "validation_fraction"),
    **dict.fromkeys(("tolerance", "min_delta", "xtol", "ftol"), "tol"),
    **dict.fromkeys(("huber_delta", "epsilon_insensitive"), "delta"),
    **dict.fromkeys(("n_threads", "num_threads", "workers"), "n_jobs"),
}  # fmt: skip


def shown(value: Any) -> str:
    """Return what was given, no longer than fits in a message."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no integers of thousands of digits
        return f"an integer of {value.bit_length()} bits"
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def hint(name: str, value: Any, expected: str) -> str:
    """Return what was probably meant, as a sentence to put at the end of a message."""
    known = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(known, str | int | None):
        return ""
    if (name, known) in VALUE_HINTS:
        return f" Hint: {VALUE_HINTS[name, known]}."
    if isinstance(known, str):
        options = [
            part.strip("'") for part in expected.replace("one of ", "").replace(" or ", ", ").split(", ")
        ]
        near = difflib.get_close_matches(known, options, n=1)
        return f" Did you mean {near[0]!r}?" if near else ""
    return ""


def unknown_parameters(names: Iterable[str], valid: Iterable[str]) -> str:
    """Return which names are no parameters, and what was probably meant; "" where all are."""
    valid = list(valid)
    told = []
    for name in names:
        if name in valid:
            continue
        lower = name.lower()
        near = NAME_HINTS.get(lower) or next(iter(difflib.get_close_matches(lower, valid, n=1)), None)
        told.append(f"{name!r}" + (f" (here that is {near!r})" if near in valid else ""))
    return ", ".join(told)


def with_hints(init: Callable[..., None]) -> Callable[..., None]:
    """Let a constructor that is given an unknown parameter name the one that was probably meant."""
    valid = inspect.signature(init).parameters.keys()

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **parameters: Any) -> None:
        if not parameters.keys() <= valid and (told := unknown_parameters(parameters, valid)):
            raise TypeError(f"{type(self).__name__}() has no parameter {told}.")
        init(self, *args, **parameters)

    return wrapped
