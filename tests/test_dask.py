"""Training on a real Dask cluster: right on sorted data, the same bits wherever it runs, and never a hang."""

import os
import pickle
import signal
from itertools import pairwise

import numpy as np
import pytest
from cases import SOLVERS
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from sklearn_sgdopt import GradientDescentRegressor

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

import dask.array as da
from distributed import Client, LocalCluster, wait

from sklearn_sgdopt import _cluster
from sklearn_sgdopt.dask import DaskGradientDescentRegressor

pytestmark = pytest.mark.slow  # clusters of processes

FEATURES, LIMIT = 5, 60


@pytest.fixture(autouse=True)
def _time_limit():
    """Nothing may hang."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def expired(*_):
        raise AssertionError(f"not finished after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def local_cluster(workers):
    return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")


@pytest.fixture(scope="module")
def client():
    with local_cluster(2) as cluster, Client(cluster, timeout=LIMIT) as client:
        yield client


@pytest.fixture(scope="module")
def doomed_cluster():
    """A cluster of which three tests kill a worker each: none relies on its being started again."""
    with local_cluster(4) as cluster:
        yield cluster


@pytest.fixture
def doomed(doomed_cluster):
    with Client(doomed_cluster, timeout=LIMIT) as client:  # the current one of this test alone
        yield client


def kill_holder(client, future):
    """Kill the worker that has a result."""
    (holder,) = client.who_has(future)[future.key]
    os.kill(client.run(os.getpid)[holder], getattr(signal, "SIGKILL", signal.SIGTERM))


def make_data(n=3000, seed=0, outputs=1):
    """Correlated features in raw units, sorted by the first; the target is not quite linear."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, FEATURES))
    X[:, 1:] += 0.7 * X[:, :-1]
    y = X @ rng.uniform(1.0, 3.0, (FEATURES, outputs)) + 0.2 * X[:, :1] ** 2
    y += rng.standard_normal(y.shape)
    order = np.argsort(X[:, 0])
    X = X[order] * np.logspace(-1, 3, FEATURES) + np.linspace(0.0, 300.0, FEATURES)
    return X, y[order, 0] if outputs == 1 else y[order], rng.uniform(0.1, 2.0, n)


def lazy(X, y, weight=None, rows=150):
    """Dask arrays."""
    parts = (X, y) if weight is None else (X, y, weight)
    return [da.from_array(part, chunks=(rows, *part.shape[1:])) for part in parts]


def chunked(X, y, rows=150):
    return [(X[i : i + rows], y[i : i + rows]) for i in range(0, len(y), rows)]


def load(i, n):
    """A partition of a file, as it were: sorted by the first feature."""
    rng = np.random.default_rng(i)
    X = rng.standard_normal((n, FEATURES))
    X[:, 0] = np.sort(X[:, 0]) / 10.0 + i
    return X, X.sum(axis=1) + rng.standard_normal(n)


def model(solver="adam", shards=2, **options):
    options = {"epochs": 5, "tol": None, "random_state": 0, **options}
    return DaskGradientDescentRegressor(solver, shards=shards, **options)


def plain(solver="adam", **options):
    return GradientDescentRegressor(solver, **{"epochs": 5, "tol": None, "random_state": 0, **options})


def assert_same(first, second, rtol=0.0):
    size = np.abs(second.coef_).max()
    np.testing.assert_allclose(first.coef_, second.coef_, rtol=rtol, atol=rtol * size)
    np.testing.assert_allclose(first.intercept_, second.intercept_, rtol=rtol, atol=rtol * size)
    np.testing.assert_allclose(first.loss_curve_, second.loss_curve_, rtol=rtol)
    assert (first.t_, first.n_iter_) == (second.t_, second.n_iter_)


PLAIN = {"standardize": False, "average": False, "learning_rate": 1e-8}
CASES = [
    *((solver, {}) for solver in SOLVERS),
    *(
        (solver, {"loss": "huber", "schedule": "adaptive", "n_iter_no_change": 1})
        for solver in ("gd", "adam")
    ),
    *((solver, {"loss": "quantile", "quantile": 0.3}) for solver in ("gd", "sgd")),
    *((solver, {"penalty": "l1", "alpha": 0.1}) for solver in ("sgd", "adam")),
    *((solver, PLAIN) for solver in ("momentum", "adam")),
    ("sgd", {"shuffle": False}),
    ("momentum", {"epochs": "auto", "tol": 1e-3}),
]


@pytest.mark.parametrize(("solver", "options"), CASES)
def test_one_shard_is_fit(client, solver, options):
    X, y, weight = make_data(600)
    found = model(solver, 1, **options).fit(*lazy(X, y, weight))
    assert_same(found, plain(solver, **options).fit(X, y, weight), rtol=1e-9)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_descent_on_all_samples_is_that_of_one_machine(client, outputs, weighted, loss):
    X, y, weight = make_data(outputs=outputs)
    rest = (weight,) if weighted else ()
    found = model("gd", loss=loss).fit(*lazy(X, y, *rest))
    assert_same(found, plain("gd", loss=loss).fit(X, y, *rest), rtol=1e-6)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    """A file sorted by a feature, in 40 row groups, with its least squares and other samples."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    X, y, _ = make_data(100_000, seed=1)
    test = np.arange(len(y)) % 5 == 0
    frame = pd.DataFrame(X[~test], columns=list("abcde")).assign(y=y[~test])
    path = tmp_path_factory.mktemp("sorted") / "data.parquet"
    frame.to_parquet(path, row_group_size=2000, index=False)
    return path, LinearRegression().fit(X[~test], y[~test]), X[test], y[test]


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sorted_parquet_file_in_two_shards(client, parquet, solver):
    dd = pytest.importorskip("dask.dataframe")
    path, exact, X, y = parquet
    frame = dd.read_parquet(path, split_row_groups=True)
    assert frame.npartitions == 40
    found = model(solver).fit(frame[list("abcde")], frame["y"])
    assert found.feature_names_in_.tolist() == list("abcde")
    assert found.n_shards_ == (40 if solver == "gd" else 2)
    predictions = X @ found.coef_ + found.intercept_, exact.predict(X)
    errors = [np.linalg.norm(y - predicted) for predicted in predictions]
    assert errors[0] <= 1.002 * errors[1]


def test_workers_do_not_change_a_bit(client):
    X, y = lazy(*make_data()[:2])
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0") as other:
        for solver in SOLVERS:
            for loss in ("squared_error", "quantile"):
                one, two = (model(solver, 3, loss=loss, client=c).fit(X, y) for c in (other, client))
                assert_same(one, two)
    assert client is Client.current()


@pytest.mark.parametrize(
    ("solver", "loss", "persisted"), [("adam", "squared_error", True), ("gd", "huber", False)]
)
def test_a_worker_killed_in_the_middle(doomed, monkeypatch, persisted, solver, loss):
    parts = [dask.delayed(load)(i, 400) for i in range(8)]
    if persisted:
        parts = list(dask.persist(*parts))
        wait(doomed.futures_of(parts), timeout=LIMIT)
    expected = model(solver, loss=loss).fit(parts)
    kind = _cluster.Rounds if solver == "adam" else _cluster.WholeRounds
    original, rounds = kind.epoch, []

    def deadly(self):
        rounds.append(1)
        if len(rounds) == 3:
            kill_holder(doomed, self._shards[0])
        return original(self)

    monkeypatch.setattr(kind, "epoch", deadly)
    found = model(solver, loss=loss).fit(parts)
    assert len(rounds) == 5
    assert_same(found, expected)


def test_scattered_data_that_are_lost_are_told(doomed, monkeypatch):
    parts = doomed.scatter([load(i, 100) for i in range(4)], timeout=LIMIT)
    original = _cluster.Rounds.epoch

    def deadly(self):
        kill_holder(doomed, self._shards[0])
        return original(self)

    monkeypatch.setattr(_cluster.Rounds, "epoch", deadly)
    with pytest.raises(RuntimeError, match="cannot compute parts of the data again"):
        model().fit(parts)


def test_forms_of_the_same_data(client):
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    X, y, weight = make_data(1000)
    expected = model().fit(*lazy(X, y, weight))
    frame = dd.from_map(
        lambda i: pd.DataFrame(X[i : i + 150]).assign(y=y[i : i + 150], w=weight[i : i + 150]),
        range(0, 1000, 150),
    )
    unknown = [frame[list(range(FEATURES))].to_dask_array(), frame["y"].to_dask_array()]
    assert np.isnan(unknown[0].chunks[0]).all()
    several = da.from_array(X, chunks=(150, 2))
    split = [(dask.delayed(X[i : i + 150]), y[i : i + 150], weight[i : i + 150]) for i in range(0, 1000, 150)]
    names = [f"x{j}" for j in range(FEATURES)]
    renamed = frame.rename(columns=dict(enumerate(names)))
    forms = {
        "columns in several chunks": (several, *lazy(X, y, weight)[1:]),
        "other chunks of y": (*lazy(X, y)[:1], da.from_array(y, chunks=77), da.from_array(weight, chunks=90)),
        "unknown chunk sizes": (*unknown, frame["w"].to_dask_array()),
        "frames": (renamed[names], frame["y"], frame["w"]),
        "frames and arrays": (renamed[names], *lazy(X, y, weight)[1:]),
        "tuples": (split,),
        "delayed": ([dask.delayed(part) for part in split],),
        "futures": ([client.submit(tuple, dask.compute(*part)) for part in split],),
    }
    for name, form in forms.items():
        found = model().fit(*form)
        assert_same(found, expected)
        assert (found.feature_names_in_.tolist() if "frames" in name else names) == names


@pytest.mark.filterwarnings("ignore:.*of the variance of:UserWarning")
def test_partitions_that_are_empty_or_unequal(client):
    X, y, _ = make_data(1000)
    ends = [0, 0, 500, 500, 510, 900, 1000, 1000]
    slices = [slice(*pair) for pair in pairwise(ends)]
    parts = [dask.delayed((X[part], y[part])) for part in slices]
    exact = LinearRegression().fit(X, y)
    for solver in SOLVERS:
        for shards in (1, 5):
            found = model(solver, shards, epochs=12).fit(parts)
            gap = np.mean((found.predict(X) - exact.predict(X)) ** 2)
            assert gap < (0.02 if shards == 1 else 0.1) * np.mean((y - exact.predict(X)) ** 2)
        assert found.n_shards_ == (7 if solver == "gd" else 4)
    X, y = (da.concatenate([values[:0], values]) for values in lazy(X, y))
    assert_same(model("gd").fit(X, y), model("gd").fit(X[:], y[:]), rtol=1e-12)
    np.testing.assert_array_equal(found.predict(X).compute(), found.predict(X.compute()))


@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_and_several_outputs(client, solver):
    X, y, _ = make_data(outputs=2)
    weight = np.where(np.arange(len(X)) // 150 % 2, 1.0, 9.0)  # shards of very different weight
    y = y + np.where(weight > 1.0, 10.0, 0.0)[:, None]
    exact = LinearRegression().fit(X, y, weight)
    found = model(solver, epochs=30).fit(*lazy(X, y, weight))
    assert found.coef_.shape == (2, FEATURES)
    assert found.intercept_.shape == (2,)
    gap = np.average((found.predict(X) - exact.predict(X)) ** 2, weights=weight, axis=0)
    assert np.all(gap < 0.02 * np.average((y - exact.predict(X)) ** 2, weights=weight, axis=0))


def test_sparse_samples(client):
    rng = np.random.default_rng(3)
    X = sparse.csr_array(sparse.random(2000, 30, density=0.1, random_state=3, format="csr"))
    y = X @ rng.standard_normal(30) + 0.1 * rng.standard_normal(2000)
    parts = [dask.delayed(part) for part in chunked(X, y, 200)]
    for solver in SOLVERS:
        assert model(solver, epochs=30).fit(parts).score(parts) > 0.95
    with pytest.raises(
        ValueError, match=r"partition 0 has is_sparse=True and partition 1 has is_sparse=False"
    ):
        model().fit([dask.delayed((X[:500], y[:500])), dask.delayed((X[500:].toarray(), y[500:]))])


def test_shards_that_are_too_different(client):
    X, y, _ = make_data()
    with pytest.warns(
        UserWarning, match=r"\d\d% of the variance of column 0 lies between the 2 shards"
    ) as told:
        model().fit(*lazy(X, y, rows=1500))
    assert told[0].filename == __file__
    model().fit(*lazy(X, y))
    model("gd").fit(*lazy(X, y, rows=1500))


@pytest.mark.filterwarnings("ignore:.*of the variance of:UserWarning")
def test_how_many_shards(client, monkeypatch):
    X, y, _ = make_data()
    assert model(shards="auto").fit(*lazy(X, y)).n_shards_ == 1
    monkeypatch.setattr(_cluster, "LEAST_SAMPLES", 1000)
    parts = [dask.delayed(part) for part in chunked(X, y)]
    assert model(shards="auto").fit(*lazy(X, y)).n_shards_ == 2  # threads
    assert model(shards="auto").fit(parts).n_shards_ == 2
    assert model(shards="auto").fit(parts[:13]).n_shards_ == 1  # 1950 samples
    assert model(shards=50).fit(parts).n_shards_ == 20  # partitions


def test_tol_early_stopping_and_held_out_samples(client):
    X, y, _ = make_data()
    assert model(epochs=500, tol=1e-3).fit(*lazy(X, y)).n_iter_ < 100
    held_out = {"X_val": X[::7], "y_val": y[::7]}
    stopped = model(epochs=300, early_stopping=True, tol=1e-3).fit(*lazy(X, y), **held_out)
    assert stopped.n_iter_ < 300
    assert len(stopped.validation_curve_) == stopped.n_iter_
    best = np.mean((stopped.predict(X[::7]) - y[::7]) ** 2)
    np.testing.assert_allclose(best, min(stopped.validation_curve_), rtol=1e-9)
    held_out = {name: da.from_array(values) for name, values in held_out.items()}
    lazily = model(epochs=300, early_stopping=True, tol=1e-3).fit(*lazy(X, y), **held_out)
    assert_same(lazily, stopped)
    with pytest.raises(ValueError, match="early_stopping=True needs X_val and y_val"):
        model(early_stopping=True).fit(*lazy(X, y))


def test_a_line_a_round_and_callbacks(client, capsys):
    X, y, _ = make_data()
    model(epochs=3, verbose=1).fit(*lazy(X, y))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2", "Epoch 3"]
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    from test_callbacks import Recorder

    recorder = Recorder(last=2)
    found = model().set_callbacks(recorder).fit(*lazy(X, y))
    assert recorder.ended == [("epoch", 0), ("epoch", 1), ("fit", 0), "teardown"]
    assert found.n_iter_ == 2


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_local_model_goes_on(client, solver):
    X, y, _ = make_data()
    found = model(solver).fit(*lazy(X, y))
    local = found.to_local()
    assert type(local) is GradientDescentRegressor
    assert_same(local, found)
    before = found.coef_.copy()
    local.partial_fit(X, y)
    assert (local.t_ > found.t_, local.n_iter_) == (True, 6)
    assert found.n_iter_ == 5
    np.testing.assert_array_equal(found.coef_, before)
    again = pickle.loads(pickle.dumps(found)).to_local().partial_fit(X, y)
    assert_same(again, local)


def test_warm_start_goes_on(client):
    X, y, _ = make_data()
    twice = model(warm_start=True, epochs=2).fit(*lazy(X, y)).fit(*lazy(X, y))
    assert twice.n_iter_ == 4
    at_once = model(epochs=4).fit(*lazy(X, y))
    assert twice.t_ == at_once.t_
    with pytest.raises(ValueError, match=r"^partition \d: X has 4 features"):
        twice.fit(*lazy(X[:, 1:], y))


def test_parameters_clones_and_pickles(client):
    found = model(client=client).fit(*lazy(*make_data(500)[:2]))
    assert set(found.get_params()) == {*GradientDescentRegressor().get_params(), "shards", "client"}
    other = clone(found)
    assert other.client is client
    assert not hasattr(other, "coef_")
    assert other.get_params() == found.get_params()
    restored = pickle.loads(pickle.dumps(found))
    assert restored.client is None
    assert_same(restored, found)
    for wrong in (0, 1.5, "all", True):
        with pytest.raises(ValueError, match="The 'shards' parameter must be"):
            model(shards=wrong).fit(*lazy(*make_data(500)[:2]))
    with pytest.raises(ValueError, match="The 'solver' parameter must be"):
        model("newton").fit(*lazy(*make_data(500)[:2]))
    with pytest.raises(TypeError, match="shard"):
        DaskGradientDescentRegressor(shard=2)


@pytest.mark.parametrize("outputs", [1, 2])
def test_predictions_are_lazy(client, outputs):
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    X, y, weight = make_data(1000, outputs=outputs)
    lazily = lazy(X, y, weight)
    found = model().fit(*lazily)
    expected = found.to_local().predict(X)
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=3)
    for form in (lazily[0], da.from_array(X, chunks=(100, 2)), frame):
        predicted = found.predict(form)
        assert isinstance(predicted, da.Array)
        assert predicted.ndim == y.ndim
        np.testing.assert_allclose(predicted.compute(), expected, rtol=1e-12)
    assert found.predict(lazily[0]).shape == y.shape
    narrow = model().fit(lazily[0].astype(np.float32), lazily[1]).predict(lazily[0].astype(np.float32))
    assert narrow.dtype == narrow.compute().dtype == np.float32
    np.testing.assert_array_equal(found.predict(X), expected)
    for rest in ((), (weight,)):
        score = found.score(*lazily[: 2 + len(rest)])
        np.testing.assert_allclose(score, r2_score(y, expected, sample_weight=rest[0] if rest else None))
        np.testing.assert_allclose(found.score(X, y, *rest), score)
    np.testing.assert_allclose(
        found.score([dask.delayed(part) for part in chunked(X, y)]), r2_score(y, expected)
    )


def failing(chunk):
    raise OSError("the disk is gone")


def broken(change, number=7):
    X, y, _ = make_data(2000)
    parts = [list(part) for part in chunked(X.copy(), y.copy())]
    change(parts[number])
    return [dask.delayed(tuple)(part) for part in parts]


def with_nan(part):
    part[0][3, 2] = np.nan


def with_infinity(part):
    part[1][3] = np.inf


def with_fewer_columns(part):
    part[0] = part[0][:, 1:]


def with_fewer_samples(part):
    part[1] = part[1][1:]


def with_negative_weights(part):
    part.append(-np.ones(len(part[1])))


def alone(part):
    del part[1]


BAD = {
    "NaN": (with_nan, ValueError, r"^partition 7: Input X contains NaN or infinity in column 2"),
    "infinite target": (with_infinity, ValueError, r"^partition 7: Input y contains NaN"),
    "columns": (with_fewer_columns, ValueError, r"partition 7.* 4 features|partition 0 has 5 features and"),
    "lengths": (with_fewer_samples, ValueError, r"^partition 7: .*inconsistent numbers of samples"),
    "weights": (with_negative_weights, ValueError, r"^partition 7: Negative values in sample_weight"),
    "no target": (alone, TypeError, r"^partition 7: expected \(X, y\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_partitions_are_refused_by_their_number(client, case, monkeypatch):
    monkeypatch.setattr(_cluster, "LEAST_SAMPLES", 500)
    fitted = model().fit(*lazy(*make_data(500)[:2]))
    before = fitted.coef_.copy()
    change, kind, message = BAD[case]
    for solver, shards in [("gd", 2), ("adam", 2), ("adam", "auto")]:
        with pytest.raises(kind, match=message):
            fitted.set_params(solver=solver, shards=shards).fit(broken(change))
    np.testing.assert_array_equal(fitted.coef_, before)
    assert fitted.n_iter_ == 5


X, Y, _ = make_data(600)
SERIES = da.from_array(Y, chunks=100)
MISFITS = {
    "arrays": ((X, Y), TypeError, "X is a ndarray; expected dask arrays"),
    "y in memory": ((da.from_array(X, chunks=100), Y), TypeError, "y is a ndarray; expected dask arrays"),
    "no y": ((da.from_array(X, chunks=100),), TypeError, "y is a NoneType"),
    "lengths": ((da.from_array(X, chunks=100), SERIES[:-1]), ValueError, "600 in X, 599 in y"),
    "partitions": (
        (da.from_array(X, chunks=100)[da.from_array(Y, chunks=100) > 0.0], SERIES[:500]),
        ValueError,
        "6 in X, 5 in y",
    ),
    "nothing": (([],), TypeError, "no partition"),
    "no delayed": (([3],), TypeError, "got a int in it"),
    "all empty": (([dask.delayed((X[:0], Y[:0]))] * 3,), ValueError, "all partitions are empty"),
    "no weight": (([dask.delayed((X, Y, 0.0 * Y))],), ValueError, "weigh nothing"),
    "a failing task": (([dask.delayed(failing)(0), dask.delayed((X, Y))],), OSError, "the disk is gone"),
    "no chunks": (([dask.delayed(7), dask.delayed((X, Y))],), TypeError, "partition 0: expected"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_together_is_refused(client, case):
    given, kind, message = MISFITS[case]
    for solver, shards in [("gd", 1), ("adam", 1), ("adam", "auto")]:
        with pytest.raises(kind, match=message):
            model(solver, shards).fit(*given)


def test_an_error_in_a_round_is_that_of_the_call(client, monkeypatch):
    X, y, _ = make_data()
    fitted = model().fit(*lazy(X, y))
    before = fitted.coef_.copy()
    monkeypatch.setattr(_cluster._shards, "run_epoch", failing_epoch)
    with pytest.raises(MemoryError, match="no room"):
        fitted.fit(*lazy(X, y))
    np.testing.assert_array_equal(fitted.coef_, before)


def failing_epoch(*_, **__):
    raise MemoryError("no room")


def test_divergence_is_told_and_undone(client):
    X, y, _ = make_data()
    options = {"standardize": False, "average": False, "learning_rate": 1.0}
    for solver, loss in [("sgd", "squared_error"), ("gd", "huber"), ("gd", "squared_error")]:
        with pytest.warns(UserWarning, match=r"Training diverged with learning rate 1"):
            found = model(solver, loss=loss, **options).fit(*lazy(X, y))
        assert np.isfinite(found.coef_).all()


def test_without_workers_or_a_client():
    X, y = lazy(*make_data(500)[:2])
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as empty,
    ):
        for solver in ("gd", "adam"):
            with pytest.raises(RuntimeError, match="The cluster has had no workers"):
                model(solver, "auto", client=empty).fit(X, y)
        cluster.scale(1)
        assert model(client=empty).fit(X, y).n_iter_ == 5
