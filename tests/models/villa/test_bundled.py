"""The bundled ViLLa model keeps the promises of its card."""

from saymask.models.checkpoints import bundled_folder, load_model
from saymask.runtime import Runtime
from saymask.session import VideoSession
from saymask.toyworld.dataset import load_toyworld_multi


def test_the_weights_are_small():
    assert (bundled_folder("villa-toy") / "model.safetensors").stat().st_size <= 3_000_000


def test_two_named_things_are_two_objects_with_masks_of_their_own():
    sample = load_toyworld_multi(None, "val")[4]
    segmenter = load_model("villa-toy", Runtime("cpu", "float32"))
    assert segmenter.unknown_words(sample.expression.text) == []
    result = VideoSession(sample.video, segmenter).segment(sample.expression.text).results[0]
    assert [masklet.obj_id for masklet in result.masklets] == [1, 2]
    assert all(masklet.phrase and masklet.presence > 0.5 for masklet in result.masklets)
    assert result.text.count("[SEG]") == 2
