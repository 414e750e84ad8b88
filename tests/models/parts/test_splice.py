import pytest
import torch

from saymask.models.parts.chat import IGNORE_LABEL, IMAGE_TOKEN_ID
from saymask.models.parts.splice import splice, splice_images

IDS = torch.tensor([[7, IMAGE_TOKEN_ID, 8, 9, 0], [7, 8, 8, IMAGE_TOKEN_ID, 9]])


def test_each_row_is_split_at_its_own_placeholder():
    text = torch.arange(10.0).reshape(2, 5, 1)
    visual = torch.tensor([[[100.0], [101.0]], [[200.0], [201.0]]])
    spliced = splice(IDS, text, visual)
    assert spliced.embeds_BLE[..., 0].tolist() == [[0, 100, 101, 2, 3, 4], [5, 6, 7, 200, 201, 9]]
    assert spliced.position_BI.tolist() == [[0, 1, 3, 4, 5], [0, 1, 2, 3, 5]]


def test_recorded_positions_hold_the_text_embeddings():
    text, visual = torch.randn(2, 5, 3), torch.randn(2, 4, 3)
    spliced = splice(IDS, text, visual)
    for row in range(2):
        for index in range(5):
            if IDS[row, index] != IMAGE_TOKEN_ID:
                assert torch.equal(spliced.embeds_BLE[row, spliced.position_BI[row, index]], text[row, index])


def test_labels_skip_visual_positions():
    spliced = splice(IDS, torch.zeros(2, 5, 1), torch.zeros(2, 2, 1))
    labels = torch.tensor([[IGNORE_LABEL, IGNORE_LABEL, 8, 9, IGNORE_LABEL], [IGNORE_LABEL] * 4 + [9]])
    skip = IGNORE_LABEL
    assert spliced.labels(labels).tolist() == [[skip, skip, skip, 8, 9, skip], [skip] * 5 + [9]]


@pytest.mark.parametrize(("ids", "found"), [([[1, 2]], 0), ([[IMAGE_TOKEN_ID, IMAGE_TOKEN_ID]], 2)])
def test_exactly_one_placeholder(ids, found):
    with pytest.raises(ValueError, match=f"^row 0 has {found} image placeholders; exactly one is needed$"):
        splice(torch.tensor(ids), torch.zeros(1, 2, 1), torch.zeros(1, 2, 1))


def test_rows_with_different_numbers_of_images():
    ids = torch.tensor([[IMAGE_TOKEN_ID, 7, IMAGE_TOKEN_ID, 8], [7, 8, IMAGE_TOKEN_ID, 0]])
    images = [torch.tensor([[[10.0], [11.0]], [[20.0], [21.0]]]), torch.tensor([[[30.0], [31.0]]])]
    spliced = splice_images(ids, torch.arange(8.0).reshape(2, 4, 1), images)
    assert spliced.embeds_BLE[..., 0].tolist() == [[10, 11, 1, 20, 21, 3], [4, 5, 30, 31, 7, 0]]
    assert spliced.position_BI.tolist() == [[0, 2, 3, 5], [0, 1, 2, 4]]


def test_a_row_without_images():
    spliced = splice_images(torch.tensor([[1, 2]]), torch.tensor([[[5.0], [6.0]]]), [torch.zeros(0, 3, 1)])
    assert spliced.embeds_BLE[..., 0].tolist() == [[5, 6]]


def test_placeholders_and_images_are_counted_row_by_row():
    ids = torch.tensor([[IMAGE_TOKEN_ID, IMAGE_TOKEN_ID], [1, 2]])
    with pytest.raises(ValueError, match="row 0 has 2 image placeholders for 1 images"):
        splice_images(ids, torch.zeros(2, 2, 1), [torch.zeros(1, 2, 1), torch.zeros(1, 2, 1)])
