"""Data in batches, and files of runs, by themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml.errors import FileError
from sciml.optimize import Batches, checkpoint, digest, on_device, split, take


def test_all_rows_without_an_order():
    batches = Batches(jnp.arange(5), None, jax.random.key(0))
    assert batches.per_epoch == 1 and batches.size == 5 and batches(7) is None
    assert take(batches.data, batches(7)).tolist() == [0, 1, 2, 3, 4]


def test_rows_left_over_wait_for_the_next_epoch():
    """7 rows in batches of 3: two batches an epoch, and over many epochs each row is as frequent as the others."""
    batches = Batches(jnp.arange(7), 3, jax.random.key(0))
    counts = np.bincount(np.concatenate([batches(n) for n in range(2 * 700)]), minlength=7)
    assert batches.per_epoch == 2 and counts.sum() == 4200
    assert np.abs(counts - 600).max() < 60


def test_a_split_holds_each_row_once():
    train, held = split({"x": jnp.arange(10)}, 0.3, jax.random.key(0))
    assert len(held["x"]) == 3 and sorted([*train["x"].tolist(), *held["x"].tolist()]) == list(range(10))


def test_a_fingerprint_sees_values_shapes_and_types():
    ones = jnp.ones(4, jnp.float32)
    found = {digest(v) for v in (ones, ones.at[0].set(2), ones.reshape(2, 2), ones.astype(jnp.int32), (ones[:2], ones[2:]))}
    assert len(found) == 5 and digest(ones) == digest(np.ones(4, np.float32))


def test_integers_and_keys_are_data_too():
    data = on_device({"label": np.arange(3), "flag": np.array([True, False, True]), "key": jax.random.split(jax.random.key(0), 3)})
    assert data["label"].dtype.kind == "i" and take(data, np.array([2, 0]))["flag"].tolist() == [True, True]
    assert len(digest(data)) == 16


def test_a_file_gives_back_what_was_written(tmp_path):
    """Bit for bit, with the types, infinities and NaN."""
    path, arrays = tmp_path / "a.ckpt", {"w": jnp.array([1 / 3, jnp.inf, jnp.nan], jnp.float32), "n": jnp.array(7), "half": jnp.ones(3, jnp.bfloat16)}
    checkpoint.write(path, arrays, {"step": 3})
    assert checkpoint.facts(path) == {"step": 3}
    back = checkpoint.read(path, jax.tree.map(jnp.zeros_like, arrays))
    assert all(np.asarray(back[k]).tobytes() == np.asarray(arrays[k]).tobytes() and back[k].dtype == arrays[k].dtype for k in arrays)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.ckpt"
    checkpoint.write(path, {"w": jnp.ones(2)}, {"step": 1})
    with pytest.raises(TypeError):
        checkpoint.write(path, {"w": jnp.ones(2)}, {"step": object()})
    assert checkpoint.facts(path) == {"step": 1} and [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_changed_byte_is_seen(tmp_path):
    path = tmp_path / "a.ckpt"
    checkpoint.write(path, {"w": jnp.ones(2)}, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match="is damaged: its arrays are not those that were written"):
        checkpoint.read(path, {"w": jnp.ones(2)})
