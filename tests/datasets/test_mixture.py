"""The mixture: the paper's shares, a stream that anybody can make any part of, and nothing asked in vain that might be there."""

import pickle
from collections import Counter

import numpy as np
import pytest
from dataset_trees import TREES
from squares import BLUE, RED, sample, set_of

from saymask.datasets.mixture import Member, Mixture, MixtureConfig, MixtureGroup, open_mixture
from saymask.errors import ConfigError, DataError, UnknownName
from saymask.recipes.videolisa_tuning import videolisa_mixture
from saymask.toyworld.dataset import load_toyworld

PAPER = videolisa_mixture()
PAPER_DATASETS = [dataset for group in PAPER.groups.values() for dataset in group.datasets]


@pytest.fixture(scope="module")
def paper_mixture(tmp_path_factory) -> Mixture:
    roots = {name: TREES[name].build(tmp_path_factory.mktemp("tree")) for name in PAPER_DATASETS}
    return open_mixture(PAPER.model_copy(update={"roots": roots}), seed=3)


def described(drawn):
    return (drawn.video.source, drawn.expression)


def test_the_paper_s_rates_become_its_probabilities(paper_mixture):
    """Those of the released training: 8, 4, 3, 4 and, for each referring video set, 6, 6, 1 of 32."""
    shares = {member.name: share for member, share in zip(paper_mixture.members, paper_mixture.probabilities, strict=True)}
    assert sum(shares[name] for name in ("ade20k", "coco-stuff", "pascal-part", "paco-lvis")) == 0.25
    assert sum(shares[name] for name in ("refclef", "refcoco", "refcoco+", "refcocog")) == 0.125
    assert {name: shares[name] for name in ("ade20k", "refcoco", "reasonseg", "youtube-vos")} == {
        **{"ade20k": 0.0625, "refcoco": 0.03125},
        **{"reasonseg": 0.09375, "youtube-vos": 0.125},
    }
    assert {name: shares[name] for name in ("ref-youtube-vos", "mevis", "ref-davis17")} == {
        "ref-youtube-vos": 0.1875,
        "mevis": 0.1875,
        "ref-davis17": 0.03125,
    }
    assert sum(shares.values()) == 1


def test_what_is_reported_on_is_not_trained_on():
    assert "mevis" in PAPER_DATASETS
    assert not [dataset for dataset in PAPER_DATASETS if ":" in dataset]


def test_every_draw_is_a_whole_sample_with_a_mask_of_zeros_and_ones(paper_mixture):
    drawn = paper_mixture.samples(0, 60)
    assert {sample.video.num_frames for sample in drawn} == {1, 2, 3}
    for one in drawn:
        assert one.masks_THW.dtype == bool
        assert one.masks_THW.any() == bool(one.expression.obj_ids)


def test_further_expressions_of_a_drawn_video(tmp_path):
    config = MixtureConfig(groups={"vos": MixtureGroup(rate=1, datasets=("revos",))}, roots={"revos": TREES["revos"].build(tmp_path)})
    single, several = open_mixture(config, seed=0), open_mixture(config.model_copy(update={"expressions": 3}), seed=0)
    (member,) = several.members
    for index in range(12):
        drawn = several.draw_video(index)
        assert drawn[0].name == single.draw(index).name
        names = [one.name for one in drawn]
        assert {one.video.name for one in drawn} == {drawn[0].video.name}
        assert len(set(names)) == len(names) == min(3, len(member.samples.about(drawn[0].video.name)))
    assert [one.name for one in several.samples(0, 2)] == [one.name for index in (0, 1) for one in several.draw_video(index)]


def test_a_draw_depends_on_seed_and_number_alone(paper_mixture):
    expected = [described(paper_mixture.draw(index)) for index in range(20)]
    elsewhere = pickle.loads(pickle.dumps(paper_mixture))
    assert [described(elsewhere.draw(index)) for index in reversed(range(20))] == expected[::-1]
    assert [described(one) for batch in range(5) for one in paper_mixture.samples(batch, 4)] == expected
    other_seed = Mixture(paper_mixture.members, seed=4)
    assert [described(other_seed.draw(index)) for index in range(20)] != expected


def test_datasets_and_samples_come_as_often_as_said():
    reds, blues = set_of(*(sample(f"r{n}/0", "red", RED) for n in range(2))), set_of(sample("b/0", "blue", BLUE))
    mixture = Mixture([Member("reds", reds, 3), Member("blues", blues, 1), Member("never", blues, 0)], seed=0)
    counts = Counter(mixture.draw(index).video.name for index in range(2000))
    assert {name: count / 2000 for name, count in counts.items()} == pytest.approx({"r0": 3 / 8, "r1": 3 / 8, "b": 1 / 4}, abs=0.04)


def test_a_dataset_that_is_not_there_is_named_with_the_way_to_do_without(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("SAYMASK_DATA", raising=False)
    config = MixtureConfig(groups={"videos": MixtureGroup(rate=1, datasets=("mevis", "youtube-vos"))})
    with pytest.raises(DataError, match=r"^nothing says where mevis lies; give its folder .*; or leave it out of the mixture: "):
        open_mixture(config, 0)
    gone = config.model_copy(update={"roots": {"mevis": tmp_path}})
    with pytest.raises(DataError) as error:
        open_mixture(gone, 0)
    assert str(error.value).startswith(f"{tmp_path}/train/meta_expressions.json: not found; mevis is laid out as")
    assert str(error.value).endswith("or leave it out of the mixture: data.groups.videos.datasets=[youtube-vos]")
    alone = MixtureConfig(groups={"m": MixtureGroup(rate=1, datasets=("mevis",)), "none": MixtureGroup(rate=0, datasets=("nothing",))})
    with pytest.raises(DataError, match=r"or leave it out of the mixture: data\.groups\.m\.rate=0$"):
        open_mixture(alone, 0)


def test_a_split_is_named_behind_a_colon(tmp_path):
    config = MixtureConfig(groups={"mevis": MixtureGroup(rate=1, datasets=("mevis", "mevis:valid_u"))}, roots={"mevis": tmp_path})
    TREES["mevis"].build(tmp_path)
    mixture = open_mixture(config, 0)
    assert [(member.name, member.samples.source.parent.name, member.rate) for member in mixture.members] == [
        ("mevis", "train", 0.5),
        ("mevis:valid_u", "valid_u", 0.5),
    ]
    changed = PAPER.override(["groups.mevis.datasets=[mevis, mevis:valid_u]", "groups.vos.rate=0"])
    assert (changed.groups["mevis"].datasets, changed.groups["vos"].rate) == (("mevis", "mevis:valid_u"), 0)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1])
def test_a_rate_is_a_number_that_can_be_shared_out(rate):
    with pytest.raises(ConfigError, match=r"groups\.vos\.rate"):
        PAPER.override([f"groups.vos.rate={rate}"])


def test_configurations_of_nothing_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"^the mixture has no group with a rate above 0; give one of them a rate$"):
        open_mixture(MixtureConfig(groups={}), 0)
    with pytest.raises(ConfigError, match=r"^roots names 'mevi', which is not in the mixture \(mevis\); correct the name$"):
        open_mixture(MixtureConfig(groups={"m": MixtureGroup(rate=1, datasets=("mevis",))}, roots={"mevi": tmp_path}), 0)
    with pytest.raises(UnknownName, match="did you mean 'mevis'"):
        open_mixture(MixtureConfig(groups={"m": MixtureGroup(rate=1, datasets=("mevi",))}), 0)
    with pytest.raises(ConfigError, match=r"^toyworld cannot say what is in a video, so nothing can be known to be absent; set its"):
        Member("toyworld", load_toyworld(None, "val"), 1, absent_rate=0.5)


def test_damage_is_named_with_the_draw_and_the_dataset(tmp_path):
    root = TREES["ade20k"].build(tmp_path)
    mixture = open_mixture(MixtureConfig(groups={"a": MixtureGroup(rate=1, datasets=("ade20k",))}, roots={"ade20k": root}), 0)
    for label_map in root.rglob("*.png"):
        label_map.write_bytes(b"")
    with pytest.raises(DataError, match=r"^draw 7 of the mixture, from ade20k: .*ADE_train_0000000\d\.png: the mask is damaged or cut off"):
        mixture.draw(7)


@pytest.mark.parametrize("name", ["ade20k", "paco-lvis", "youtube-vos", "ref-youtube-vos"])
def test_what_is_asked_in_vain_is_said_of_another_video_and_not_of_this_one(name, tmp_path):
    root = TREES[name].build(tmp_path)
    group = MixtureGroup(rate=1, datasets=(name,), absent_rate=0.5)
    mixture = open_mixture(MixtureConfig(groups={"a": group}, roots={name: root}), 0)
    if name == "youtube-vos":  # of whose one video everything is true
        with pytest.raises(DataError, match=r"every sentence may be true of 0062f687f1, .* in vain; set absent_rate to 0$"):
            mixture.samples(0, 40)
        return
    samples = mixture.members[0].samples
    drawn = mixture.samples(0, 40)
    in_vain = [one for one in drawn if not one.expression.obj_ids]
    assert 10 <= len(in_vain) <= 30
    for one in in_vain:
        assert not one.masks_THW.any()
        assert one.expression.text not in samples.sentences(one.video.name)
        others = {other.video.name for other in samples} - {one.video.name}
        assert one.expression.text in set().union(*(samples.sentences(other) for other in others))


def test_the_same_words_with_another_article_may_be_true():
    squares = set_of(sample("a/0", "A  Red square", RED), sample("a/1", "the red square", RED))
    member = Member("squares", squares, 1, absent_rate=1)
    with pytest.raises(DataError, match="every sentence may be true of a, so none can be asked of it in vain"):
        Mixture([member], 0).draw(0)


def test_probabilities_need_a_rate():
    red = set_of(sample("a/0", "red", RED))
    with pytest.raises(ValueError, match="a mixture needs a member with a rate above 0"):
        Mixture([Member("squares", red, 0)], 0)
    assert np.allclose(Mixture([Member("squares", red, 5)], 0).probabilities, [1])
