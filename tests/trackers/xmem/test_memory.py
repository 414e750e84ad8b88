"""The memory stores against scripted runs of the published ones, and where the published ones stop with an error."""

import math

import numpy as np
import pytest
import torch
from golden import GOLDEN, GoldenArrays

from saymask.trackers.xmem import memory as memory_module
from saymask.trackers.xmem.long_term import consolidate, evict
from saymask.trackers.xmem.memory import LongTermRules, Memory
from saymask.trackers.xmem.memory_store import Elements, join


class Script:
    """One scripted run: its frames, what to do with them, and what came out."""

    def __init__(self, name: str):
        self.arrays = GoldenArrays(GOLDEN / "xmem" / "units" / f"{name}.npz")
        meta = self.arrays.meta()
        self.ops, self.log, config = meta["ops"], meta["log"], meta["config"]
        rules = LongTermRules(
            max_mid_term_frames=config["max_mid_term_frames"],
            min_mid_term_frames=config["min_mid_term_frames"],
            num_prototypes=config["num_prototypes"],
            max_elements=config["max_long_term_elements"],
            keep_first_frame="xmem" in name,
            count_usage=config["enable_long_term_count_usage"],
        )
        self.memory = Memory(config["top_k"], rules if config["enable_long_term"] else None)

    def frame(self, i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Key, shrinkage and selection with a batch axis."""
        return tuple(torch.from_numpy(self.arrays[name][i])[None] for name in ("key", "shrinkage", "selection"))

    def add(self, i: int, ids: list[int], permanent: bool = False) -> None:
        values = torch.from_numpy(self.arrays["value"][i][: len(ids)])[None]
        self.memory.remember(*self.frame(i), values, permanent=permanent)

    def check_readout(self, number: int, i: int) -> None:
        key, _, selection = self.frame(i)
        assert np.allclose(self.memory.read(key, selection)[0], self.arrays[f"readout_op{number:02d}"], atol=1e-5), f"operation {number}"

    def check_final(self) -> None:
        stores = {"work": self.memory.working, "perm": self.memory.permanent, "long": self.memory.long_term}
        for name in self.arrays:
            if name.startswith("final_"):
                _, store, field = name.split("_", 2)
                assert np.allclose(stored(stores[store], field), self.arrays[name], atol=1e-5), name
        assert self.arrays.unread == set()


def stored(store: Elements, field: str) -> torch.Tensor:
    """A field of a store under its name in the golden files, without the batch axis."""
    if field.startswith("value_g"):
        return store.values[int(field.removeprefix("value_g"))][0].permute(1, 2, 0)
    return {"key": store.key_BCM[0], "shrinkage": store.shrinkage_B1M[0, 0], "use": store.use_M, "life": store.life_M}[field]


def sizes(memory: Memory) -> list[int]:
    return [0 if store is None else len(store) for store in (memory.working, memory.permanent, memory.long_term)]


@pytest.fixture
def consolidations(monkeypatch) -> list[list[int]]:
    """Which candidates became prototypes, for every consolidation of the test."""
    seen = []

    def watched(candidates: Elements, num_prototypes: int) -> Elements:
        prototypes = consolidate(candidates, num_prototypes)
        same_PM = (prototypes.key_BCM[0].T[:, None] == candidates.key_BCM[0].T[None]).all(-1)
        seen.append(same_PM.int().argmax(1).tolist())
        return prototypes

    monkeypatch.setattr(memory_module, "consolidate", watched)
    return seen


@pytest.mark.parametrize("name", ["mem_xmem_plain", "mem_xmem_longterm", "mem_xmem_longterm_groups", "mem_pp_longterm", "mem_pp_groups"])
def test_a_scripted_run_equals_the_published_memory(name, consolidations):
    script = Script(name)
    for number, (op, i, *rest) in enumerate(script.ops):
        if op == "match":
            script.check_readout(number, i)
        else:
            script.add(i, rest[0], permanent=op == "add_perm")
        logged = [entry for entry in script.log if entry["op"] == number]
        assert sizes(script.memory) == logged[-1]["sizes"]
        assert not [entry["idx"] for entry in logged if "idx" in entry] or consolidations[-1] == logged[0]["idx"]
    script.check_final()
    assert len(consolidations) == sum("idx" in entry for entry in script.log)


def test_reading_without_selection_is_a_special_case():
    """The published code can drop the term in the squared query; an extra key channel of selection -sum(query^2) cancels it."""
    script = Script("mem_xmem_noselection")

    def frame(i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        key, shrinkage, _ = (torch.from_numpy(script.arrays[name][i])[None] for name in ("key", "shrinkage", "selection"))
        square = key.square().sum(1, keepdim=True)
        return key, shrinkage * math.sqrt(9 / 8), square

    for number, (op, i, *_) in enumerate(script.ops):
        key, shrinkage, square = frame(i)
        if op == "match":
            query, selection = torch.cat([key, torch.ones_like(square)], 1), torch.cat([torch.ones_like(key), -square], 1)
            readout = script.memory.read(query, selection)[0]
            assert np.allclose(readout, script.arrays[f"readout_op{number:02d}"], atol=1e-5), f"operation {number}"
        else:
            extended = torch.cat([key, torch.zeros_like(square)], 1)
            script.memory.remember(extended, shrinkage, extended, torch.from_numpy(script.arrays["value"][i])[None])
        assert sizes(script.memory) == script.log[number]["sizes"]
    final = script.memory.working
    assert final is not None and not final.key_BCM[0, 8:].any()
    ours = {"key": final.key_BCM[0, :8], "shrinkage": final.shrinkage_B1M[0, 0] * math.sqrt(8 / 9), "value_g0": stored(final, "value_g0")}
    for field, tensor in ours.items():
        assert np.allclose(tensor, script.arrays[f"final_work_{field}"], atol=1e-5), field
    assert script.arrays.unread == set()


def test_three_references_read_as_published_up_to_their_replacement():
    """Ours neither replaces nor removes a reference; the published replacement changes one element, its removal takes another frame."""
    script = Script("mem_pp_update_remove")
    replaced = [op for op, *_ in script.ops].index("update_perm")
    for number, (op, i, *rest) in enumerate(script.ops[:replaced]):
        if op == "match":
            script.check_readout(number, i)
        else:
            script.add(i, rest[0], permanent=op == "add_perm")
    assert sizes(script.memory) == [12, 36, 0]
    assert script.arrays.unread == set()


def test_late_objects_are_read_from_their_own_elements_only():
    memory = Memory(top_k=30, long_term=None)
    key, one = torch.zeros(1, 2, 1, 1), torch.ones(1, 1, 1, 1)
    memory.remember(key, one, key, torch.full((1, 1, 3, 1, 1), 2.0))
    memory.remember(key, one, key, torch.full((1, 2, 3, 1, 1), 4.0))
    assert memory.group_sizes == [1, 1]
    assert memory.read(key, key)[0, :, 0, 0, 0].tolist() == [3.0, 4.0]  # the mean of both frames; the second frame alone


def elements(usage: list[float], num_values: int | None = None) -> Elements:
    """Elements of given usage; keys and values count from 0, a late group would have the last `num_values` of them."""
    M = len(usage)
    count = torch.arange(float(M))[None, None]
    late = torch.arange(float(M))[None, M - (M if num_values is None else num_values) :, None, None]
    store = Elements.unread(count, torch.ones(1, 1, M), torch.ones(1, 1, M), (count.reshape(1, M, 1, 1), late))
    return store.used(torch.tensor(usage))


def test_eviction_keeps_the_most_used_and_each_groups_own_values():
    left = evict(elements([0.5, 0.9, 0.1, 0.3, 0.7], num_values=3), num_kept=3)
    assert left.key_BCM.flatten().tolist() == [0, 1, 4]
    assert left.values[0].flatten().tolist() == [0, 1, 4]
    assert left.values[1].flatten().tolist() == [4]


def test_equally_used_elements_go_together():
    assert evict(elements([0.2, 0.2, 0.2, 0.8]), num_kept=3).key_BCM.flatten().tolist() == [3]


def test_a_store_exactly_at_its_limit_loses_nothing():
    full = elements([0.1, 0.2, 0.3])
    assert evict(full, num_kept=3) is full


def test_fewer_candidates_than_prototypes_all_stay():
    prototypes = consolidate(elements([0.1, 0.3, 0.2]), num_prototypes=8)
    assert prototypes.key_BCM.flatten().tolist() == [1, 2, 0]
    assert prototypes.use_M.tolist() == [0, 0, 0]


def test_potentiation_averages_the_candidates_by_similarity():
    """Candidates 0, 1, 2 on a line, one key channel: weights of the middle one are softmax(-1, 0, -1), of the last softmax(-4, -1, 0)."""
    prototypes = consolidate(elements([0.1, 0.3, 0.2], num_values=2), num_prototypes=2)
    e = math.exp(-1)
    assert prototypes.values[0].flatten().tolist() == pytest.approx([1.0, (e + 2) / (math.exp(-4) + e + 1)], rel=1e-6)
    late = [(1 + 2 * e) / (1 + e), (e + 2) / (e + 1)]  # the late group has values for candidates 1 and 2 alone
    assert prototypes.values[1].flatten().tolist() == pytest.approx(late, rel=1e-6)


@pytest.mark.parametrize(("num_values", "inner"), [(3, []), (4, [2, 3])])
def test_a_late_group_is_consolidated_only_with_one_more_than_both_ends_and_the_first_again(num_values, inner):
    """As published: of 5 elements 1 stays in front and 1 behind."""
    store = elements([0.1, 0.2, 0.3, 0.4, 0.5], num_values)
    middle, ends = store.middle(1, 1), store.ends(1, 1)
    assert middle.values[0].flatten().tolist() == [1, 2, 3]
    assert middle.values[1].flatten().tolist() == inner
    assert ends.values[0].flatten().tolist() == [0, 4]
    assert ends.values[1].flatten().tolist() == [5 - num_values, 4]


@pytest.mark.parametrize("count_usage", [True, False])
def test_the_use_of_long_term_elements_is_counted_where_the_rules_say_so(count_usage):
    memory = Memory(5, LongTermRules(2, 1, num_prototypes=2, max_elements=10, keep_first_frame=False, count_usage=count_usage))
    key, one, value = torch.zeros(1, 2, 1, 1), torch.ones(1, 1, 1, 1), torch.ones(1, 1, 3, 1, 1)
    for _ in range(2):
        memory.remember(key, one, key, value)
    memory.read(key, key)
    assert memory.working.use_M.tolist() == [0.5]  # both elements are equal, and one has become a prototype
    assert memory.long_term.use_M.tolist() == [0.5 if count_usage else 0]
    assert memory.long_term.life_M.tolist() == pytest.approx([1 if count_usage else 0], abs=1e-6)


def test_the_memory_stays_bounded_however_long_it_remembers():
    rules = LongTermRules(3, 1, num_prototypes=4, max_elements=10, keep_first_frame=False, count_usage=True)
    memory = Memory(5, rules)
    generator = torch.Generator().manual_seed(0)
    largest = [0, 0, 0]
    for _ in range(40):
        key, selection, value = (torch.rand(1, *shape, 2, 3, generator=generator) for shape in ((4,), (4,), (1, 5)))
        memory.remember(key, torch.ones(1, 1, 2, 3), selection, value)
        memory.read(key, selection)
        largest = [max(pair) for pair in zip(largest, sizes(memory), strict=True)]
    assert largest == [12, 0, 10]


def test_joining_keeps_the_order_and_adds_new_groups():
    alone = Elements.unread(torch.zeros(1, 1, 2), torch.ones(1, 1, 2), torch.ones(1, 1, 2), (torch.zeros(1, 2, 1, 1),))
    both = join(alone, elements([0.4, 0.6]))
    assert both.key_BCM.flatten().tolist() == [0, 0, 0, 1]
    assert [value.shape[1] for value in both.values] == [4, 2]
    assert both.usage_M.tolist() == pytest.approx([0, 0, 0.4, 0.6], rel=1e-5)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((5, 5, 4, 10), r"^working memory must shrink to 1 or more frames, got 5 -> 5$"),
        ((5, 2, 11, 10), r"^11 prototypes do not fit into 10 long-term elements$"),
    ],
)
def test_rules_that_cannot_work_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        LongTermRules(*numbers, keep_first_frame=True, count_usage=True)
