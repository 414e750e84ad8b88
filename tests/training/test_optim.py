"""Learning rates, weight decay and clipping, by hand."""

import pytest
import torch
from torch import nn

from saymask.errors import ConfigError
from saymask.training.config import OptimConfig
from saymask.training.optim import build_optimizer, clip_gradients, lr_at, set_lr


def test_learning_rate_warms_up_then_falls_along_a_cosine():
    config = OptimConfig(lr=1.0, warmup_steps=4, final_lr_share=0.1)
    assert [lr_at(step, 14, config) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert lr_at(9, 14, config) == pytest.approx(0.55)
    assert lr_at(14, 14, config) == pytest.approx(0.1)


def test_learning_rate_falls_along_a_line():
    config = OptimConfig(lr=2.0, schedule="linear", warmup_steps=4, final_lr_share=0)
    assert [lr_at(step, 14, config) for step in (0, 3, 4, 9, 13, 14)] == pytest.approx([0.5, 2.0, 2.0, 1.0, 0.2, 0.0])


def test_only_matrices_decay():
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    decays = {p.ndim: group["weight_decay"] for group in build_optimizer(model, OptimConfig()).param_groups for p in group["params"]}
    assert decays == {2: 0.02, 1: 0.0}


def test_a_learning_rate_is_that_of_all_groups():
    optimizer = build_optimizer(nn.Linear(3, 2), OptimConfig())
    set_lr(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]


def test_frozen_parameters_are_left_out_and_a_frozen_model_is_refused():
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    assert [p is model.bias for group in build_optimizer(model, OptimConfig()).param_groups for p in group["params"]] == [True]
    model.bias.requires_grad_(False)
    with pytest.raises(ConfigError, match=r"^nothing to train: every parameter of the model is frozen$"):
        build_optimizer(model, OptimConfig())


def test_gradients_are_shortened_together_and_their_length_told():
    model = nn.Linear(2, 2)
    unused = nn.Parameter(torch.zeros(1))
    model.weight.grad, model.bias.grad = torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([4.0, 0.0])
    assert clip_gradients([*model.parameters(), unused], most=3).item() == 6
    torch.testing.assert_close(model.weight.grad, torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    torch.testing.assert_close(model.bias.grad, torch.tensor([2.0, 0.0]))
    assert clip_gradients(model.parameters(), most=100).item() == pytest.approx(3)
    torch.testing.assert_close(model.bias.grad, torch.tensor([2.0, 0.0]))
