"""Checkpoints: what is in them, how large their files are, which are kept, and what is refused."""

import json

import pytest
import torch
from dot_task import DotConfig
from safetensors.torch import load_file, save_file
from torch import nn

from saymask.errors import CheckpointError
from saymask.runtime import Runtime
from saymask.storage.weight_files import weight_files
from saymask.training.checkpoint import RunState, collect, frozen_digest, load_checkpoint, newest_checkpoint, save_checkpoint
from saymask.training.loop import train
from saymask.training.run_log import LogState

CPU = Runtime("cpu")


class Net(nn.Module):
    """A shared matrix, a frozen one, one that no step uses, and a buffer."""

    def __init__(self, width: int = 100):
        super().__init__()
        self.first = nn.Linear(width, width, bias=False)
        self.second = nn.Linear(width, width, bias=False)
        self.second.weight = self.first.weight
        self.frozen = nn.Parameter(torch.ones(width), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(width, width))
        self.register_buffer("seen", torch.tensor(0))


def stepped(seed=0, steps=2):
    """A net and its optimiser after some steps."""
    torch.manual_seed(seed)
    net = Net()
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        net.second(net.first(net.frozen)).square().sum().backward()
        optimizer.step()
        net.seen += 1
    return net, optimizer


def save(folder, net, optimizer, step=2, shard_mb=None, keep_last=2):
    state = RunState(step=step, frozen_sha256=frozen_digest(net), log=LogState(sums={"loss": (1.5, 2)}), best=0.25)
    save_checkpoint(folder, state, collect(net, optimizer, keep=True), shard_mb, keep_last)
    return newest_checkpoint(folder)


def test_a_restored_run_takes_the_very_next_step(tmp_path):
    net, optimizer = stepped()
    folder = save(tmp_path, net, optimizer)
    other, other_optimizer = stepped(seed=1, steps=0)
    state = load_checkpoint(folder, other, other_optimizer, frozen_digest(other))
    assert (state.step, state.best, state.log.sums) == (2, 0.25, {"loss": (1.5, 2)})
    assert other.seen == 2
    for one, its_optimizer in ((net, optimizer), (other, other_optimizer)):
        its_optimizer.zero_grad()
        one.second(one.first(one.frozen)).square().sum().backward()
        its_optimizer.step()
    assert torch.equal(net.first.weight, other.first.weight)
    assert other.second.weight is other.first.weight


def test_it_holds_what_training_changes_once(tmp_path):
    names = set(load_file(save(tmp_path, *stepped()) / "model.safetensors"))
    moments = {f"{moment}.first.weight" for moment in ("exp_avg", "exp_avg_sq", "step")}
    assert names == {"weights.first.weight", "weights.unused", "weights.seen", *moments}


def test_files_are_no_larger_than_asked(tmp_path):
    net, optimizer = stepped()
    folder = save(tmp_path, net, optimizer, shard_mb=0.08)  # two of the four matrices of 4 * 10^4 bytes, but for the header
    sizes = [file.stat().st_size for file in weight_files(folder)]
    assert len(sizes) == 4
    assert max(sizes) <= 80_000
    other, other_optimizer = stepped(seed=1, steps=0)
    load_checkpoint(folder, other, other_optimizer, frozen_digest(other))
    assert torch.equal(other.first.weight, net.first.weight)


def test_the_newest_are_kept_and_what_is_incomplete_is_none(tmp_path):
    net, optimizer = stepped()
    for step in (5, 999_999, 1_000_000):
        save(tmp_path, net, optimizer, step, keep_last=2)
    (tmp_path / "checkpoints" / ".step-1000001.partial").mkdir()
    assert newest_checkpoint(tmp_path).name == "step-1000000"
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("step-*")) == ["step-1000000", "step-999999"]


def test_what_a_stop_left_behind_goes_with_the_next_one(tmp_path):
    for leftover in (".step-000001.partial", ".step-000002.retired"):
        (tmp_path / "checkpoints" / leftover).mkdir(parents=True)
    save(tmp_path, *stepped(), 3)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000003"]


def test_a_run_keeps_as_many_as_it_says(tmp_path):
    train(DotConfig(save_every=2, keep_last=3), tmp_path / "run", runtime=CPU)
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["step-000002", "step-000004", "step-000006"]


def damage(folder):
    (folder / "model.safetensors").write_bytes(b"not tensors")


def damage_state(folder):
    (folder / "state.json").write_text("")


def leave_out(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["weights.unused"]
    tensors["exp_avg.nobody"] = torch.zeros(1)
    tensors["exp_avg.first.weight"] = torch.zeros(3)
    save_file(tensors, folder / "model.safetensors")


def other_frozen(folder):
    values = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**values, "frozen_sha256": "0" * 64}))


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (damage, "{folder}/model.safetensors: cannot be read as weights"),
        (damage_state, "{folder}/state.json: expected keys and values, found NoneType"),
        (
            leave_out,
            "{folder}: the weights do not fit the configuration; nothing was loaded\n  missing unused\n  unexpected exp_avg.nobody\n"
            "  wrong shape exp_avg.first.weight: [3] in the file, [100, 100] in the model",
        ),
        (other_frozen, "{folder}: the weights that stay frozen were others then; restore those, or begin a new run"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_way_on(tmp_path, harm, problem):
    folder = save(tmp_path, *stepped())
    harm(folder)
    net, optimizer = stepped(seed=1, steps=0)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder, net, optimizer, frozen_digest(net))
    assert str(caught.value).startswith(problem.format(folder=folder))
    assert str(caught.value).endswith(f"\nto go on from the checkpoint before it, if there is one, delete {folder}")


def test_the_digest_is_that_of_frozen_values():
    one, same, other = stepped()[0], stepped(seed=1)[0], stepped()[0]
    other.frozen.data[3] = 2
    assert frozen_digest(one) == frozen_digest(same) != frozen_digest(other)
    assert frozen_digest(nn.Linear(2, 2)) is None
