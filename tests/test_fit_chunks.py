"""Training on chunks: the same model as `fit`, one engine, and what is refused by the chunk's number."""

import numpy as np
import pytest
from cases import SOLVERS
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_sgdopt import GradientDescentRegressor
from sklearn_sgdopt.chunks import ArrayChunks, ParquetChunks, _source

N, FEATURES = 1200, 5


def make_data(n=N, seed=0, outputs=1):
    """Correlated features in raw units, and weights."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, FEATURES))
    X[:, 1:] += 0.7 * X[:, :-1]
    X = X * np.logspace(-1, 3, FEATURES) + np.linspace(0.0, 300.0, FEATURES)
    y = X @ (np.ones((FEATURES, outputs)) / np.logspace(-1, 3, FEATURES)[:, None]) + rng.standard_normal(
        (n, outputs)
    )
    return X, y[:, 0] if outputs == 1 else y, rng.uniform(0.1, 2.0, n)


def chunked(X, y, weight=None, rows=100):
    """A list of chunks."""
    parts = [X, y] if weight is None else [X, y, weight]
    return [tuple(part[i : i + rows] for part in parts) for i in range(0, len(y), rows)]


def model(solver="adam", **options):
    return GradientDescentRegressor(solver, **{"epochs": 6, "tol": None, "random_state": 0, **options})


def assert_same(first, second, rtol=1e-9):
    size = np.abs(second.coef_).max()
    np.testing.assert_allclose(first.coef_, second.coef_, rtol=rtol, atol=rtol * size)
    np.testing.assert_allclose(
        first.intercept_, second.intercept_, rtol=rtol, atol=rtol * np.abs(second.intercept_).max()
    )
    np.testing.assert_allclose(first.loss_curve_, second.loss_curve_, rtol=1e-7)
    np.testing.assert_allclose(first.learning_rate_, second.learning_rate_, rtol=rtol)
    assert (first.t_, first.n_iter_) == (second.t_, second.n_iter_)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile", "squared_epsilon_insensitive"])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_chunk_is_fit(solver, form, loss, weighted):
    X, y, weight = make_data()
    X = form(X)
    rest = (weight,) if weighted else ()
    assert_same(
        model(solver, loss=loss).fit_chunks([(X, y, *rest)]), model(solver, loss=loss).fit(X, y, *rest)
    )


OPTIONS = {
    "plain": {"standardize": False, "average": False, "learning_rate": 1e-8},
    "plain, automatic rate": {"standardize": False, "average": False},
    "scaled": {"whiten": False},
    "no intercept": {"fit_intercept": False},
    "l1": {"penalty": "l1", "alpha": 0.1},
    "l2": {"penalty": "l2", "alpha": 0.1},
    "elasticnet": {"penalty": "elasticnet", "alpha": 0.1, "average": True},
    "in order": {"shuffle": False},
    "all in a batch": {"batch_size": 10_000},
    "single samples": {"batch_size": 1},
    "cosine": {"schedule": "cosine"},
    "adaptive": {"schedule": "adaptive", "n_iter_no_change": 1},
    "to the end": {"epochs": "auto", "tol": 1e-3},
    "insensitive": {"loss": "epsilon_insensitive"},
    "threads": {"n_jobs": 2, "batch_size": 600},
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("options", OPTIONS)
def test_one_chunk_is_fit_with_any_parameters(solver, options):
    X, y, _ = make_data(seed=1)
    options = OPTIONS[options]
    assert_same(model(solver, **options).fit_chunks([(X, y)]), model(solver, **options).fit(X, y))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("rows", [20_000, 9000])
def test_a_chunk_of_more_samples_than_are_kept_at_hand(solver, rows):
    X, y, weight = make_data(rows, seed=2)
    options = {"epochs": "auto", "tol": 1e-4, "loss": "huber"}
    chunk, whole = model(solver, **options).fit_chunks([(X, y)]), model(solver, **options).fit(X, y)
    assert_same(chunk, whole)
    weight[:] = 1e-6
    weight[7::100] = 1.0  # one sample in a hundred counts: a part of them is not fair
    assert_same(model(solver).fit_chunks([(X, y, weight)]), model(solver).fit(X, y, weight))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outputs", [1, 3])
def test_types_and_outputs_are_those_of_fit(dtype, outputs):
    X, y, _ = make_data(seed=3, outputs=outputs)
    first, second = model().fit_chunks([(X.astype(dtype), y)]), model().fit(X.astype(dtype), y)
    assert first.coef_.dtype == dtype
    assert first.coef_.shape == second.coef_.shape
    assert_same(first, second, rtol=1e-9 if dtype == np.float64 else 1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_descent_on_all_samples_does_not_depend_on_chunks(loss, weighted, scaled):
    X, y, weight = make_data(seed=4)
    weight = weight if weighted else None
    options = {"loss": loss, "whiten": "auto" if not scaled else False, "epochs": 30}
    assert_same(
        model("gd", **options).fit_chunks(chunked(X, y, weight, rows=170)),
        model("gd", **options).fit(X, y, weight),
        rtol=1e-8,
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_do_not_depend_on_chunks(solver, weighted):
    X, y, weight = make_data(3000, seed=5)
    order = np.argsort(X[:, 0])
    X, y, weight = X[order], y[order], weight[order]
    weight = weight if weighted else None
    chunks = model(solver).fit_chunks(chunked(X, y, weight, rows=130))
    whole = model(solver).fit(X, y, weight)
    np.testing.assert_allclose(chunks.learning_rate_, whole.learning_rate_, rtol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("rows", [47, 250])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_many_chunks_reach_least_squares(solver, rows, form):
    X, y, weight = make_data(4000, seed=6)
    if form is not np.asarray:  # columns of CSR samples are scaled alone
        X = np.random.default_rng(6).standard_normal(X.shape) * (np.abs(X - X.mean(axis=0)) > X.std(axis=0))
        y = X.sum(axis=1) + y / y.std()
    exact = LinearRegression().fit(X, y, weight)
    chunks = [(form(a), *rest) for a, *rest in chunked(X, y, weight, rows)]
    found = model(solver, epochs=20).fit_chunks(chunks)

    def error(fitted):
        return np.average((y - fitted.predict(X)) ** 2, weights=weight) ** 0.5

    assert error(found) < 1.001 * error(exact)


def test_weights_count_across_chunks():
    X, y, _ = make_data(seed=7)
    weight = np.where(np.arange(N) // 100 % 2, 1.0, 9.0)  # chunks of very different weight
    y = y + np.where(weight > 1.0, 100.0, 0.0)
    exact = LinearRegression().fit(X, y, weight)
    for solver in SOLVERS:
        found = model(solver, epochs="auto", tol=1e-6).fit_chunks(chunked(X, y, weight))
        residual = np.average((found.predict(X) - exact.predict(X)) ** 2, weights=weight)
        assert residual < 5e-3 * np.average((y - exact.predict(X)) ** 2, weights=weight)


def test_chunks_of_weight_zero_change_nothing():
    X, y, weight = make_data(seed=8)
    chunks = chunked(X, y, weight)
    nothing = (X[:50], y[:50] + 1e6, np.zeros(50))
    assert_same(model().fit_chunks([nothing, *chunks, nothing]), model().fit_chunks(chunks))
    with pytest.raises(ValueError, match="at least one non-zero"):
        model().fit_chunks([nothing])


class Counted:
    """A source that counts its passes, and may have names."""

    def __init__(self, chunks, **attributes):
        self.chunks, self.passes = chunks, 0
        vars(self).update(attributes)

    def __iter__(self):
        self.passes += 1
        return iter(self.chunks)


@pytest.mark.parametrize(
    ("solver", "options", "passes"),
    [
        ("gd", {}, 1),
        ("gd", {"epochs": "auto", "tol": 1e-6}, 1),
        ("gd", {"loss": "huber"}, 7),
        ("sgd", {}, 7),
        ("adam", {"epochs": 2}, 3),
        ("adam", {"penalty": "l1"}, 12),
    ],
)
def test_how_often_the_data_are_read(solver, options, passes):
    source = Counted(chunked(*make_data()[:2]))
    model(solver, **options).fit_chunks(source)
    assert source.passes == passes


def test_one_pass_is_enough_for_an_iterator():
    X, y, _ = make_data()
    assert_same(model("gd").fit_chunks(iter([(X, y)])), model("gd").fit(X, y))
    assert_same(model("gd").fit_chunks((X, y) for _ in range(1)), model("gd").fit(X, y))


@pytest.mark.parametrize(
    ("solver", "options", "form"),
    [
        ("sgd", {}, np.asarray),
        ("adam", {"epochs": 1}, np.asarray),
        ("gd", {"loss": "huber"}, np.asarray),
        ("gd", {}, sparse.csr_array),
    ],
)
def test_an_iterator_is_refused_where_more_passes_are_needed(solver, options, form):
    X, y, _ = make_data()
    with pytest.raises(ValueError, match="can be iterated once only"):
        model(solver, **options).fit_chunks((form(a), b) for a, b in chunked(X, y))


def broken(part, change):
    """Chunks of which the seventh, counted from 0, is changed."""
    X, y, weight = make_data(seed=9)
    chunks = [[np.copy(values) for values in chunk] for chunk in chunked(X, y, weight)]
    chunks[7][part] = change(chunks[7][part])
    return [tuple(chunk) for chunk in chunks]


def with_value(value):
    def change(values):
        values.flat[3] = value
        return values

    return change


BAD = {
    "NaN": (
        broken(0, with_value(np.nan)),
        ValueError,
        r"^chunk 7: Input X contains NaN or infinity in column 3",
    ),
    "infinite target": (broken(1, with_value(np.inf)), ValueError, r"^chunk 7: Input y contains NaN"),
    "negative weight": (
        broken(2, with_value(-1.0)),
        ValueError,
        r"^chunk 7: Negative values in sample_weight",
    ),
    "columns": (
        broken(0, lambda X: X[:, :-1]),
        ValueError,
        r"^chunk 7: X has 4 features, but .* expecting 5",
    ),
    "outputs": (broken(1, lambda y: np.stack([y, y], 1)), ValueError, r"^chunk 7: y has 2 outputs"),
    "rows": (broken(1, lambda y: y[:-1]), ValueError, r"^chunk 7: Found input variables with inconsistent"),
    "no samples": (broken(0, lambda X: X[:0]), ValueError, r"^chunk 7: Found array with 0 sample"),
    "text": (
        broken(0, lambda X: X.astype(str).astype(object) + "m"),
        ValueError,
        r"^chunk 7: Input X has values",
    ),
    "too large": (
        broken(0, with_value(1e200)),
        ValueError,
        r"^chunk 7: Input X has values whose squares overflow",
    ),
    "no pair": ([make_data()[0]], TypeError, r"^chunk 0: expected \(X, y\)"),
    "four parts": ([(1, 2, 3, 4)], TypeError, r"^chunk 0: .* got 4 parts"),
    "empty": ([], ValueError, "chunks is empty"),
    "no iterable": (7, TypeError, "chunks must give"),
}


@pytest.mark.parametrize("solver", ["gd", "adam"])
@pytest.mark.parametrize("bad", BAD)
def test_bad_chunks_are_refused_by_number_and_leave_the_model_as_it_was(solver, bad):
    chunks, kind, message = BAD[bad]
    X, y, _ = make_data(seed=9)
    fitted = model(solver, warm_start=True).fit(X, y)
    other = clone(fitted).fit(X, y)
    with pytest.raises(kind, match=message):
        fitted.fit_chunks(chunks)
    assert_same(fitted.partial_fit(X[:100], y[:100]), other.partial_fit(X[:100], y[:100]), rtol=0)
    with pytest.raises(kind, match=message):
        model(solver).fit_chunks(chunks)


class Turning:
    """Chunks that are good in the first passes, and others later."""

    def __init__(self, good, later, passes):
        self.good, self.later, self.left = good, later, passes

    def __iter__(self):
        self.left -= 1
        return iter(self.good if self.left >= 0 else self.later)


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (broken(0, with_value(np.nan)), "^chunk 7: Input X"),
        ([], "gave 0 samples"),
        (broken(1, with_value(0.0))[:5], "gave 500"),
    ],
)
@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize(("solver", "loss"), [("adam", "squared_error"), ("gd", "huber")])
def test_each_pass_is_checked(later, message, passes, solver, loss):
    X, y, _ = make_data(seed=9)
    fitted = model(solver, loss=loss).fit(X, y)
    before = fitted.coef_.copy()
    with pytest.raises(ValueError, match=message):
        fitted.fit_chunks(Turning(chunked(X, y), later, passes))
    np.testing.assert_array_equal(fitted.coef_, before)
    assert fitted.n_iter_ == 6


def test_an_error_of_the_source_passes_through_and_leaves_the_model_as_it_was():
    X, y, _ = make_data()

    class Failing(Turning):
        def __iter__(self):
            yield from super().__iter__()
            if self.left < 0:
                raise OSError("the disk is gone")

    fitted = model().fit(X, y)
    before = fitted.coef_.copy()
    with pytest.raises(OSError, match=r"the disk is gone"):
        fitted.fit_chunks(Failing(chunked(X, y), chunked(X, y), 2))
    np.testing.assert_array_equal(fitted.coef_, before)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_tol_ends_training(solver):
    chunks = chunked(*make_data()[:2])
    found = model(solver, epochs=500, tol=1e-3).fit_chunks(chunks)
    assert found.n_iter_ < 100


def test_held_out_samples_and_early_stopping():
    X, y, _ = make_data(seed=10)
    held_out = {"X_val": X[1000:], "y_val": y[1000:]}
    options = {"early_stopping": True, "epochs": 300, "tol": 1e-3}
    found = model(**options).fit_chunks([(X[:1000], y[:1000])], **held_out)
    whole = model(**options).fit(X[:1000], y[:1000], **held_out)
    assert_same(found, whole)
    assert found.n_iter_ < 300
    np.testing.assert_allclose(found.validation_curve_, whole.validation_curve_, rtol=1e-9)
    with pytest.raises(ValueError, match="early_stopping=True needs X_val and y_val"):
        model(early_stopping=True).fit_chunks([(X, y)])
    with pytest.raises(ValueError, match=r"X_val has|expecting 5"):
        model().fit_chunks([(X, y)], X_val=X[:, :3], y_val=y)


def test_warm_start_goes_on():
    X, y, _ = make_data(seed=11)
    chunks, whole = model(warm_start=True), model(warm_start=True)
    for _ in range(2):
        chunks.fit_chunks([(X, y)])
        whole.fit(X, y)
    assert_same(chunks, whole)
    assert chunks.n_iter_ == 12
    with pytest.raises(ValueError, match=r"^chunk 0: X has 4 features"):
        chunks.fit_chunks([(X[:, 1:], y)])
    assert_same(chunks.partial_fit(X, y), whole.partial_fit(X, y))


def test_a_transformer_is_applied_to_each_chunk():
    X, y, _ = make_data(seed=12)
    transform = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False)).fit(X)
    found = model().fit_chunks(chunked(X, y), transform=transform)
    direct = model().fit_chunks([(transform.transform(a), b) for a, b in chunked(X, y)])
    assert_same(found, direct, rtol=0)
    assert found.n_features_in_ == 20
    with pytest.raises(ValueError, match=r"^chunk 0: .*expecting 5"):
        model().fit_chunks([(X[:, 1:], y)], transform=transform)


def test_names_of_features():
    pd = pytest.importorskip("pandas")
    X, y, _ = make_data(seed=13)
    names = list("abcde")
    found = model().fit_chunks(Counted(chunked(X, y), feature_names_in_=names))
    assert found.feature_names_in_.tolist() == names
    frame = pd.DataFrame(X, columns=names)
    framed = model().fit_chunks(chunked(frame, y))
    assert framed.feature_names_in_.tolist() == names
    assert_same(found, framed, rtol=0)
    with pytest.raises(ValueError, match=r"(?s)^chunk 1: The feature names should match"):
        model().fit_chunks([(frame, y), (frame.rename(columns={"a": "z"}), y)])
    with pytest.raises(ValueError, match=r"^chunk 0: .*feature_names_in_, which has 3 names"):
        model().fit_chunks(Counted([(X, y)], feature_names_in_=names[:3]))
    scaler = StandardScaler().fit(frame)
    model().fit_chunks(Counted(chunked(X, y), feature_names_in_=names), transform=scaler)


def test_chunks_take_the_form_of_the_first():
    X, y, _ = make_data(seed=14)
    mixed = [(X[:600].astype(np.float32), y[:600]), (sparse.csr_array(X[600:]), y[600:])]
    alike = [(X[:600].astype(np.float32), y[:600]), (X[600:].astype(np.float32), y[600:])]
    assert_same(model().fit_chunks(mixed), model().fit_chunks(alike), rtol=0)
    mixed = [(sparse.csr_array(X[:600]), y[:600]), (X[600:], y[600:])]
    alike = [(sparse.csr_array(X[:600]), y[:600]), (sparse.csr_array(X[600:]), y[600:])]
    assert_same(model().fit_chunks(mixed), model().fit_chunks(alike), rtol=0)
    X[700, 0] = 1e100
    with pytest.raises(ValueError, match=r"^chunk 1: X has values beyond float32"):
        model().fit_chunks([(X[:600].astype(np.float32), y[:600]), (X[600:], y[600:])])


def test_divergence_is_told_and_undone():
    X, y, _ = make_data(seed=15)
    plain = {"standardize": False, "average": False, "learning_rate": 1.0}
    for solver, loss in [("sgd", "squared_error"), ("gd", "huber"), ("gd", "squared_error")]:
        fitted = model(solver, loss=loss, **plain)
        with pytest.warns(UserWarning, match=r"Training diverged with learning rate 1"):
            fitted.fit_chunks(chunked(X, y))
        assert np.isfinite(fitted.coef_).all()


def test_a_line_an_epoch(capsys):
    model(epochs=3, verbose=1).fit_chunks(chunked(*make_data()[:2]))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2", "Epoch 3"]


@pytest.mark.parametrize("solver", SOLVERS)
def test_callbacks_are_told_of_each_epoch(solver):
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    from test_callbacks import Recorder

    recorder = Recorder(last=3)
    X, y, _ = make_data()
    found = model(solver).set_callbacks(recorder).fit_chunks(chunked(X, y))
    assert recorder.ended == [*(("epoch", i) for i in range(3)), ("fit", 0), "teardown"]
    assert found.n_iter_ == 3
    assert all(np.isfinite(recorder.scores))


def test_passes_of_a_source_are_of_an_order_each():
    X, y, _ = make_data(seed=16)
    one, other = (model().fit_chunks(ArrayChunks(X, y, chunk_rows=100, random_state=0)) for _ in range(2))
    assert_same(one, other, rtol=0)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    """A file sorted by a feature, with its least squares."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(17)
    X = rng.standard_normal((120_000, 20))
    X[:, 1:] += 0.7 * X[:, :-1]
    y = X @ rng.standard_normal(20) + 0.3 * X[:, 0] ** 2 + 2.0 * rng.standard_normal(len(X))
    X = X * np.logspace(-2, 4, 20)
    test = X[100_000:], y[100_000:]
    X, y = X[:100_000], y[:100_000]
    order = np.argsort(X[:, 0])
    names = [f"x{j}" for j in range(20)]
    path = tmp_path_factory.mktemp("sorted") / "data.parquet"
    pq.write_table(pa.table([*X[order].T, y[order]], names=[*names, "y"]), path, row_group_size=2500)
    return path, names, LinearRegression().fit(X, y), *test


@pytest.mark.parametrize("part", [0.5, 2.0])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sorted_parquet_file(parquet, solver, part, monkeypatch):
    """Whether a part of the file fits into the pool or all of it."""
    path, names, exact, X, y = parquet
    monkeypatch.setattr(_source, "POOL_BYTES", int(part * 100_000 * 21 * 8))
    chunks = ParquetChunks(path, "y", chunk_rows=4096, random_state=0)
    found = model(solver, epochs=5).fit_chunks(chunks)
    assert found.feature_names_in_.tolist() == names
    residuals = [y - predicted for predicted in (X @ found.coef_ + found.intercept_, exact.predict(X))]
    assert np.linalg.norm(residuals[0]) <= 1.002 * np.linalg.norm(residuals[1])
