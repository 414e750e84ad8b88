"""The choice of device and dtype."""

import os

import pytest
import torch

from saymask.errors import ConfigError
from saymask.runtime import SMALL_WEIGHTS_BYTES, Runtime, leave_a_core


@pytest.fixture
def cpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_the_best_device_present_is_the_default(cpu_only):
    assert Runtime.choose() == Runtime("cpu", None)


def test_a_gpu_comes_before_the_cpu_and_can_be_numbered(two_gpus):
    assert Runtime.choose().device == "cuda"
    assert Runtime.choose("cuda:1").torch_device == torch.device("cuda", 1)


def test_dtypes_become_torch_dtypes():
    assert Runtime("cpu", "bfloat16").torch_dtype is torch.bfloat16
    assert Runtime("cpu").torch_dtype is None


@pytest.mark.parametrize(
    ("device", "dtype", "message"),
    [
        ("cuda", None, "device 'cuda' is not available; this machine has: cpu"),
        ("gpu", None, "device 'gpu' is not available; this machine has: cpu"),
        ("cpu", "bf16", "unknown dtype 'bf16'; did you mean 'bfloat16'?"),
        ("cpu", "int4", "unknown dtype 'int4'; did you mean 'int8'?"),
        ("cpu", "double", "unknown dtype 'double'; known: bfloat16, checkpoint, float16, float32, int8"),
    ],
)
def test_what_is_not_there_is_refused(cpu_only, device, dtype, message):
    with pytest.raises(ConfigError) as caught:
        Runtime.choose(device, dtype)
    assert str(caught.value) == message


def test_a_gpu_that_is_not_there_lists_those_that_are(two_gpus):
    with pytest.raises(ConfigError, match=r"^device 'cuda:2' is not available; this machine has: cuda, cuda:0, cuda:1, cpu$"):
        Runtime.choose("cuda:2")


@pytest.fixture
def threads():
    """Gives the number that torch has, which is as it was afterwards."""
    before = torch.get_num_threads()
    yield torch.get_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("num_bytes", "left"), [(1000, 1), (SMALL_WEIGHTS_BYTES, 0), (0, 0)])
def test_a_small_model_leaves_a_core_to_what_goes_on_beside_it(monkeypatch: pytest.MonkeyPatch, threads, num_bytes: int, left: int):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    torch.set_num_threads(4)
    for _ in range(2):  # a second video changes nothing
        leave_a_core(num_bytes)
        assert threads() == 4 - left


def test_the_users_number_of_threads_stays(monkeypatch: pytest.MonkeyPatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    leave_a_core(1000)
    assert threads() == 3
