"""`sci.nn.fit`: what it finds, that a run goes on bit for bit, and what it says of what it cannot use."""

import os
import signal
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import sciml as sci
from sciml.errors import FileError, FitError, NameUnknown
from sciml.optimize import Batches

DTYPE = jnp.result_type(float)
X = jnp.linspace(-1, 1, 50, dtype=DTYPE)[:, None]
DATA = (X, 3 * X + 1)


def line():
    return eqx.nn.Linear(1, 1, key=jax.random.key(0))


def network(width=8, depth=1):
    return eqx.nn.MLP(1, 1, width, depth, key=jax.random.key(1))


def loss(model, batch, key):
    x, y = batch
    return jnp.mean((jax.vmap(model)(x) - y) ** 2)


def noisy(model, batch, key):
    """Draws from its key, and shows a number."""
    x, y = batch
    error = jax.vmap(model)(x) - y + 0.1 * jax.random.normal(key, y.shape, y.dtype)
    return jnp.mean(error**2), {"largest": jnp.max(jnp.abs(error))}


def train(model=None, data=DATA, loss=loss, **options):
    return sci.nn.fit(line() if model is None else model, data, loss, **{"progress": False, "optimizer": optax.adam(0.1), "batch": 16, **options})


def same_bits(a, b):
    a, b = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (a, b))
    return len(a) == len(b) and all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in zip(a, b, strict=True))


def same_history(a, b):
    pd.testing.assert_frame_equal(a.history.drop(columns="seconds"), b.history.drop(columns="seconds"), check_exact=True)


# What it finds


def test_it_finds_a_line(close):
    result = train(steps=400)
    close([result.model.weight[0, 0], result.model.bias[0]], [3.0, 1.0], rtol=1e-4)
    assert result.reason == "stopped after steps=400" and result.steps == 400 and result.best_step is None
    assert result.history.index[-1] == 400 and result.history["loss"].iloc[-1] < 1e-6
    assert result.history["epoch"].tolist()[:4] == [0, 0, 0, 1]  # 50 rows: three batches of 16, two rows wait


def test_all_rows_at_once_are_plain_gradient_descent(close):
    """Three steps of gradient descent, by hand."""
    weight, bias = (np.asarray(v, float).item() for v in (line().weight, line().bias))
    x, y = (np.asarray(v).ravel() for v in DATA)
    for _ in range(3):
        error = weight * x + bias - y
        weight, bias = weight - 0.1 * 2 * np.mean(error * x), bias - 0.1 * 2 * np.mean(error)
    result = train(batch=None, steps=3, optimizer=optax.sgd(0.1))
    close([result.model.weight[0, 0], result.model.bias[0]], [weight, bias])


def test_the_step_is_traced_once_and_the_key_differs_at_each_step():
    traces = []

    def counted(model, batch, key):
        traces.append(1)
        return jnp.mean(jax.random.normal(key, (), DTYPE) + 0 * model.bias)

    history = train(loss=counted, steps=40).history
    assert len(traces) == 1 and history["loss"].nunique() == 40


def test_schedules_of_optax(close):
    """A learning rate of 0 from step 5 on leaves the model where it is."""
    schedule = optax.piecewise_constant_schedule(0.1, {5: 0.0})
    assert same_bits(train(steps=5, optimizer=optax.sgd(schedule)).model, train(steps=9, optimizer=optax.sgd(schedule)).model)


def test_optimisers_that_look_at_the_loss(close):
    optimizer = optax.chain(optax.sgd(0.3), optax.contrib.reduce_on_plateau(patience=5))
    close(train(steps=200, optimizer=optimizer).model.bias, [1.0], rtol=1e-2)
    close(train(steps=12, batch=None, optimizer=optax.lbfgs()).model.bias, [1.0], rtol=1e-4)


def test_any_pytree_is_a_model_and_what_is_not_inexact_stays(close):
    model = {"slope": jnp.zeros((), DTYPE), "name": "line", "count": jnp.arange(3), "shift": np.ones(())}
    result = train(model, loss=lambda m, b, key: jnp.mean((m["slope"] * b[0] + m["shift"] - b[1]) ** 2), steps=300)
    close(result.model["slope"], 3.0, rtol=1e-4)
    assert result.model["name"] == "line" and result.model["count"].tolist() == [0, 1, 2] and result.model["shift"] == 1.0


def test_old_keys_are_keys():
    old, new = jax.random.PRNGKey(3), jax.random.key(3)
    assert same_bits(train(steps=5, key=old).model, train(steps=5, key=new).model)


def test_float32_stays_float32():
    model = jax.tree.map(lambda v: v.astype(jnp.float32), line())
    result = train(model, tuple(v.astype(jnp.float32) for v in DATA), steps=5)
    assert result.model.weight.dtype == jnp.float32


def test_an_epoch_uses_each_row_once_and_the_order_follows_from_the_key():
    batches = Batches(jnp.arange(12), 4, jax.random.key(3))
    first, second = (np.concatenate([batches(3 * epoch + i) for i in range(3)]) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(12)) and first.tolist() != second.tolist()
    again = Batches(jnp.arange(12), 4, jax.random.key(3))
    assert again(4).tolist() == batches(4).tolist() and again(0).tolist() == first[:4].tolist()
    assert Batches(jnp.arange(12), 4, jax.random.key(4))(0).tolist() != first[:4].tolist()


# Validation


def test_the_model_is_the_best_on_the_validation_data():
    """The learning rate grows until training is lost: what comes back is from before."""
    result = train(steps=60, validation=0.2, every=5, optimizer=optax.sgd(lambda n: 0.02 * 1.15**n), key=jax.random.key(2))
    judged = result.history["validation loss"].dropna()
    assert judged.index.tolist() == list(range(5, 61, 5)) and result.best_step == judged.idxmin() < 60
    assert judged.iloc[-1] > 2 * judged.min()
    shorter = train(steps=result.best_step, validation=0.2, every=5, optimizer=optax.sgd(lambda n: 0.02 * 1.15**n), key=jax.random.key(2))
    assert same_bits(shorter.model, result.model)


def test_it_stops_early():
    constant = lambda model, batch, key: jnp.mean(jnp.zeros_like(batch[0])) + 0 * jnp.sum(model.bias)
    result = train(loss=constant, steps=500, validation=DATA, every=10, patience=3)
    assert result.steps == 40 and "stopped early" in result.reason and "after 10 steps" in result.reason


def test_validation_is_in_inference_mode_with_one_key_and_without_penalty():
    model = eqx.nn.Sequential([line(), eqx.nn.Dropout(0.5)])
    seen = []

    def dropped(model, batch, key, regularize):
        seen.append((regularize is None, model.layers[1].inference))
        x, y = batch
        return jnp.mean((jax.vmap(lambda x, key: model(x, key=key))(x, jax.random.split(key, len(x))) - y) ** 2)

    result = train(model, loss=dropped, steps=20, validation=0.2, every=10, optimizer=optax.sgd(0.0), regularize=sci.ErrorEstimate(0.1))
    assert sorted(seen) == [(False, False), (True, True)]
    assert result.history["validation loss"].dropna().nunique() == 1 and result.history["loss"].nunique() > 10


def test_the_last_step_is_judged_too():
    result = train(steps=13, validation=0.2, every=10)
    assert result.history["validation loss"].dropna().index.tolist() == [10, 13] and result.best_step == 13


# Penalties


def test_a_penalty_is_annealed(close):
    schedule = optax.exponential_decay(2.0, 10, 0.5)
    weights = lambda model, batch, key, regularize: (loss(model, batch, key), {"weight": jnp.asarray(regularize.weight, DTYPE)})
    history = train(loss=weights, steps=21, regularize=sci.ErrorEstimate(schedule)).history
    close(history["weight"].iloc[[0, 10, 20]], [2.0, 1.0, 0.5])


def test_several_penalties():
    weights = lambda model, batch, key, several: (loss(model, batch, key), {"sum": jnp.asarray(several[0].weight + several[1].weight, DTYPE)})
    assert train(loss=weights, steps=2, regularize=[sci.ErrorEstimate(1.0), sci.Stiffness(2.0)]).history["sum"].iloc[1] == 3.0


# Runs that go wrong, and runs that are stopped


def test_a_bad_batch_is_left_out(close):
    """One row gives NaN: the batches that hold it change nothing, and the rest finds the line."""
    data = (X, DATA[1].at[7].set(jnp.nan))
    result = train(data=data, steps=600, allow_nan=True)
    bad = result.history["loss"].isna().sum()
    assert 100 < bad < 300
    close([result.model.weight[0, 0], result.model.bias[0]], [3.0, 1.0], rtol=1e-2)


def test_a_step_into_nan_is_taken_back(close):
    """w - log(w) has no value below 0, where the first steps lead for rows above 2/3: the next batch tries again from w = 2."""
    schedule = optax.piecewise_constant_schedule(6.0, {3: 0.1})
    result = train(
        jnp.full((), 2.0, DTYPE), jnp.linspace(0.05, 1, 50, dtype=DTYPE), lambda w, row, key: row[0] * (w - jnp.log(w)), batch=1, steps=200,
        optimizer=optax.sgd(schedule),
    )  # fmt: skip
    assert 0 < result.history["loss"].isna().sum() < 20
    close(result.model, 1.0, rtol=1e-4)


def test_a_diverging_run_stops_with_the_last_good_model():
    result = train(steps=5000, optimizer=optax.sgd(50.0))
    assert result.steps < 500 and "NaN or infinite for 20 steps; the last good model is kept" in result.reason
    assert jnp.isfinite(loss(result.model, DATA, None))
    assert np.isfinite(result.history["loss"].iloc[0])


def test_a_gradient_that_is_nan_counts_as_failure():
    result = train(jnp.zeros((), DTYPE), loss=lambda w, batch, key: jnp.sqrt(w) * w + 1.0 + jnp.where(w == 0, jnp.sqrt(w), 0.0), steps=100)
    assert result.steps == 20 and "gradient was NaN" in result.reason and result.model == 0.0


@pytest.mark.parametrize("wait", [0.0, 0.002, 0.0051])
def test_ctrl_c_keeps_what_was_reached(wait, tmp_path, monkeypatch):
    """A real SIGINT, a while after the 30th step has begun, wherever Python is then. What was kept goes on bit for bit."""
    call, timers = Batches.__call__, []

    def interrupting(self, n):
        if n == 30 and not timers:
            timers.append(wait)
            threading.Timer(wait, os.kill, (os.getpid(), signal.SIGINT)).start()
        return call(self, n)

    path = tmp_path / "run.ckpt"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # processes that only run tests ignore it
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Batches, "__call__", interrupting)
            result = train(steps=20_000, checkpoint=path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.steps == len(result.history) >= 30 and result.reason == f"interrupted after {result.steps} steps"
    more = result.steps + 5
    whole, rest = train(steps=more), train(steps=more, checkpoint=path, resume=True)
    same_history(whole, rest)
    assert same_bits(whole.model, rest.model)


def test_ctrl_c_before_the_first_step_is_not_caught():
    def interrupting(model, batch, key):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(loss=interrupting)


# Checkpoints


@pytest.mark.parametrize("first", [20, 33])
def test_a_run_goes_on_bit_for_bit(first, tmp_path):
    """Dropped after some steps, in the middle of an epoch and of the steps between two validations, or not."""
    options = dict(loss=noisy, validation=0.2, every=10, key=jax.random.key(5), optimizer=optax.adam(optax.cosine_decay_schedule(0.1, 60)))
    whole = train(network(), steps=60, **options)
    path = tmp_path / "run.ckpt"
    part = train(network(), steps=first, checkpoint=path, checkpoint_every=7, **options)
    rest = train(network(), steps=60, checkpoint=path, checkpoint_every=7, resume=True, **options)
    assert part.steps == first and same_bits(whole.model, rest.model) and whole.best_step == rest.best_step
    same_history(whole, rest)
    assert rest.history["seconds"].is_monotonic_increasing


def test_a_file_left_by_a_killed_run_is_enough(tmp_path, monkeypatch):
    """The process dies between two checkpoints: the run goes on from the last one."""
    from sciml.optimize import checkpoint

    path, write, count = tmp_path / "run.ckpt", checkpoint.write, []

    def dying(*args):
        write(*args)
        count.append(1)
        if len(count) == 2:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", dying)
        with pytest.raises(MemoryError):
            train(steps=30, checkpoint=path, checkpoint_every=8)
    rest = train(steps=30, checkpoint=path, resume=True)
    whole = train(steps=30)
    assert same_bits(whole.model, rest.model)
    same_history(whole, rest)


def test_resume_begins_anew_where_there_is_no_file_and_does_nothing_where_all_is_done(tmp_path):
    path = tmp_path / "folder" / "run.ckpt"
    first = train(steps=12, checkpoint=path, resume=True)
    again = train(steps=12, checkpoint=path, resume=True)
    assert same_bits(first.model, again.model) and again.steps == 12
    assert [p.name for p in path.parent.iterdir()] == ["run.ckpt"]


@pytest.mark.parametrize(
    "model, sentence",
    [
        (lambda: network(width=9), r"another architecture: model.layers\[0\].weight has shape \(8, 1\) there and \(9, 1\) here"),
        (lambda: network(depth=2), r"another architecture: model.layers\[1\].weight has shape \(1, 8\) there and \(8, 8\) here"),
        (lambda: jax.tree.map(lambda v: v.astype(jnp.float16) if eqx.is_array(v) else v, network()), "has dtype float.* there and float16 here"),
        (lambda: eqx.nn.Linear(1, 1, key=jax.random.key(0)), "it has no model.weight"),
        (lambda: eqx.nn.MLP(1, 1, 8, 1, use_bias=False, key=jax.random.key(0)), r"it has model.layers\[0\].bias, which is not there in the model"),
    ],
)
def test_a_checkpoint_of_another_architecture(model, sentence, tmp_path):
    path = tmp_path / "run.ckpt"
    train(network(), steps=2, checkpoint=path)
    with pytest.raises(FileError, match=sentence + ".*Make the model and the optimiser as they were"):
        train(model(), steps=4, checkpoint=path, resume=True)


def test_a_checkpoint_of_another_optimiser(tmp_path):
    path = tmp_path / "run.ckpt"
    train(steps=2, checkpoint=path)
    with pytest.raises(FileError, match="which is not there in the model"):
        train(steps=4, checkpoint=path, resume=True, optimizer=optax.sgd(0.1))


@pytest.mark.parametrize(
    "name, options",
    [
        ("batch", dict(batch=8)),
        ("key", dict(key=jax.random.key(9))),
        ("data", dict(data=(X, X))),
        ("validation", dict(validation=(X, X))),
        ("every", dict(every=3)),
    ],
)
def test_a_checkpoint_of_other_data_or_options(name, options, tmp_path):
    path = tmp_path / "run.ckpt"
    train(steps=2, checkpoint=path, validation=DATA)
    with pytest.raises(FitError, match=f"written with other {name} .*a run goes on as it began"):
        train(**{**dict(steps=4, checkpoint=path, resume=True, validation=DATA), **options})


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "run.ckpt"
    path.write_text("something else")
    with pytest.raises(FitError, match=r"is there already. Write resume=True"):
        train(steps=2, checkpoint=path)
    with pytest.raises(FileError, match=r"is not a checkpoint of sci.nn.fit"):
        train(steps=2, checkpoint=path, resume=True)
    path.unlink()
    train(steps=2, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FileError, match="is damaged"):
        train(steps=2, checkpoint=path, resume=True)


# What it shows


def test_history_and_picture():
    result = train(loss=noisy, steps=30, validation=0.2, every=10)
    assert list(result.history.columns) == ["epoch", "loss", "largest", "validation loss", "validation largest", "seconds"]
    lines = result.plot().get_lines()
    assert [len(one.get_xdata()) for one in lines] == [30, 3, 1]
    result.plot(column="largest")
    with pytest.raises(NameUnknown, match=r"no column 'lagrest'. Did you mean 'largest'\?"):
        result.plot(column="lagrest")
    assert "30 steps" in repr(result) and "best validation loss" in repr(result)


def test_the_bar_shows_the_loss_and_what_the_loss_shows(capsys):
    train(loss=noisy, steps=30, progress=True)
    shown = capsys.readouterr().err
    assert "training" in shown and "loss" in shown and "largest" in shown


# What it cannot use


@pytest.mark.parametrize(
    "options, sentence",
    [
        (dict(data=(X, X[:-1])), r"first axis counts the samples, and differs: data\[0\] has 50, data\[1\] has 49"),
        (dict(data={"x": X.at[3, 0].set(jnp.nan)}), r"data\['x'\] holds NaN in 1 of 50 samples, first in sample 3.*allow_nan=True"),
        (dict(data=(X, 1.0)), r"data\[1\] is one number, 1.0"),
        (dict(data=(X, "y")), r"data\[1\] is of type str, where an array of numbers"),
        (dict(data=(X, np.array(["y"] * 50))), r"data\[1\] is an array of <U1, where an array of numbers"),
        (dict(data=()), "data holds no arrays"),
        (dict(data=X[:0]), "data has no rows"),
        (dict(batch=51), "batch=51 is more than the 50 samples.*Write batch=50 or less"),
        (dict(batch=0), "batch=0: the number of samples in a batch"),
        (dict(steps=0), "steps=0: a whole number, at least 1"),
        (dict(epochs=-1), "epochs=-1: the number of passes"),
        (dict(steps=5, epochs=1), "steps=5 and epochs=1 say the same thing twice"),
        (dict(optimizer=1e-3), r"optimizer=0.001 is no transformation of optax. Write optimizer=optax.adam\(1e-3\)"),
        (dict(optimiser=optax.sgd(0.1)), "sci.nn.fit has no option optimiser. Did you mean 'optimizer'?"),
        (dict(patience=3), "patience counts validations, and there is no validation data. Write validation=0.2"),
        (dict(validation=1.5), "validation=1.5: a fraction between 0 and 1"),
        (dict(validation=0.001), "validation=0.001 of 50 rows are 0 rows"),
        (dict(validation=X), "they must be alike"),
        (dict(validation=(X, X[:, 0])), r"A row of validation\[1\] has shape \(\) and one of data\[1\] \(1,\)"),
        (dict(validation=(X, X.at[0].set(jnp.nan))), r"validation\[1\] holds NaN"),
        (dict(key=3), r"key=3 is no key of JAX. Write key=jax.random.key\(0\)"),
        (dict(key=jax.random.split(jax.random.key(0), 3)), "is no key of JAX"),
        (dict(resume=True), "resume=True without a file"),
        (dict(regularize=0.1), r"regularize=0.1: write sci.ErrorEstimate\(0.1\)"),
        (dict(regularize=sci.ErrorEstimate(0.1)), r"must take 4 arguments \(regularize= is given\): loss\(model, batch, key, regularize\)"),
        (dict(loss=lambda model, batch: 0.0), r"must take 3 arguments: loss\(model, batch, key\)"),
        (dict(loss=lambda m, b, k: jax.vmap(m)(b[0])), r"The loss gives an array of shape \(16, 1\).*jnp.mean"),
        (dict(loss=lambda m, b, k: None), "The loss gives None, where one real number is wanted"),
        (dict(loss=lambda m, b, k: jnp.sum(m.bias > 0)), "where one real number is wanted"),
        (dict(loss=lambda m, b, k: (jnp.sum(m.bias), {"bias": m.bias})), "must be a dict from names to numbers"),
        (dict(loss=lambda m, b, k: (jnp.sum(m.bias), {"epoch": 1.0})), "under the name 'epoch', which the history uses itself"),
        (dict(model={"a": 1.0}), "has no JAX arrays of floating numbers, so there is nothing to train. NumPy"),
    ],
)
def test_what_it_cannot_use(options, sentence):
    with pytest.raises(FitError, match=sentence):
        train(**options)
