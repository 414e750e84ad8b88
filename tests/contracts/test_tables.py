"""Every name in every table leads to something that exists, says what it is, and keeps the promise of its kind."""

import numpy as np
import pytest

from saymask.cli.inspect import describe
from saymask.config import Config
from saymask.errors import ConfigError
from saymask.lookup import RECIPES, kinds, resolve, table
from saymask.models.checkpoints import bundled_folder, load_model
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session import VideoSession

ENTRIES = [(kind, name) for kind in kinds() for name in table(kind)]
BUNDLED = [name for name in table("model") if bundled_folder(name).is_dir()]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_a_name_leads_to_something_callable_that_describes_itself(kind, name):
    target = resolve(name, kind)
    assert callable(target)
    line = (target.__doc__ or "").partition("\n")[0]
    assert 10 < len(line) <= 140 and line.endswith((".", ":")), f"{table(kind)[name]} needs a one-line summary, has {line!r}"
    assert describe(table(kind)[name]) == line


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_a_complete_configuration_that_survives_its_file(name, tmp_path):
    config = resolve(name, "recipe")()
    assert isinstance(config, Config)
    config.save(tmp_path / "run.json")
    assert type(config).load(tmp_path / "run.json") == config
    with pytest.raises(ConfigError, match=r"^unknown key 'no_such_key'; "):
        config.override(["no_such_key=1"])


def test_the_toy_model_is_in_the_package():
    assert "toy" in BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_model_answers_every_query_on_every_frame(name):
    segmenter = load_model(name, Runtime("cpu", "float32"))
    frames_THWC = np.random.default_rng(0).integers(0, 255, (5, 48, 70, 3), np.uint8)
    with VideoSession(Video.from_frames(frames_THWC), segmenter) as session:
        prediction = session.segment(["the red fish", "What moves left?"])
    assert [result.query for result in prediction.results] == ["the red fish", "What moves left?"]
    assert prediction.masks(4).shape == (2, 48, 70)
    assert segmenter.name == name
