"""The dtype that weights compute in: asked for, stored, or the faster one where it fits."""

from collections import namedtuple

import psutil
import pytest
import torch
from safetensors.torch import save_file

from saymask.runtime import Runtime
from saymask.storage import computing_dtype as module
from saymask.storage.computing_dtype import computing_dtype, is_quick


@pytest.fixture
def halves(tmp_path):
    """A file of 1,000 numbers in bf16 and one in float32."""
    file = tmp_path / "model.safetensors"
    save_file({"weight": torch.ones(1000, dtype=torch.bfloat16), "scale": torch.ones(1)}, file)
    return [file]


@pytest.fixture
def slow(monkeypatch):
    """A processor that emulates 16-bit numbers."""
    monkeypatch.setattr(module, "is_quick", lambda dtype: dtype == torch.float32)


@pytest.mark.parametrize(
    "asked, expected",
    [(None, torch.float32), ("checkpoint", torch.bfloat16), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_what_is_asked_for_comes_first(halves, slow, asked, expected):
    assert computing_dtype(Runtime("cpu", asked), halves) == expected


def test_a_processor_that_is_quick_keeps_the_stored_dtype(halves, monkeypatch):
    monkeypatch.setattr(module, "is_quick", lambda dtype: True)
    assert computing_dtype(Runtime("cpu"), halves) == torch.bfloat16


def test_other_devices_keep_the_stored_dtype(halves, slow):
    assert computing_dtype(Runtime("mps"), halves) == torch.bfloat16


def test_what_does_not_fit_stays_as_it_is_and_says_so(halves, slow, monkeypatch, caplog):
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(4 * 1001 - 1))
    assert computing_dtype(Runtime("cpu"), halves) == torch.bfloat16
    assert "computing in bfloat16" in caplog.text
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(4 * 1001))
    assert computing_dtype(Runtime("cpu"), halves) == torch.float32


def test_a_published_dtype_stands_for_the_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "is_quick", lambda dtype: True)
    save_file({"weight": torch.ones(4)}, tmp_path / "model.safetensors")
    assert computing_dtype(Runtime("cpu"), [tmp_path / "model.safetensors"], torch.bfloat16) == torch.bfloat16


def test_float32_is_as_quick_as_itself():
    assert is_quick(torch.float32)
