"""What datasets on disk say about the benchmarks that they are."""

from saymask.datasets.layouts import LAYOUTS


def test_the_released_scripts_of_videolisa_ask_each_of_their_datasets_in_words_of_its_own():
    templates = {name: layout.benchmark.templates["videolisa-release"] for name, layout in LAYOUTS.items() if layout.benchmark.templates}
    assert templates == {
        "mevis": "videolisa-mevis",
        "mevis-v2": "videolisa-mevis",
        "ref-davis17": "videolisa-ref-davis",
        "ref-youtube-vos": "videolisa-ref-ytvos",
        "reasonvos": "videolisa-reason-vos",
        **dict.fromkeys(("reasonseg", "refcoco", "refcoco+", "refcocog"), "videolisa-image-val"),
    }


def test_a_server_scores_a_split_that_the_dataset_has():
    servers = {name: layout.benchmark.server for name, layout in LAYOUTS.items() if layout.benchmark.server}
    assert set(servers) == {"mevis", "mevis-v2", "ref-youtube-vos"}
    assert all(server.split in LAYOUTS[name].splits and server.url.startswith("https://") for name, server in servers.items())


def test_only_what_is_answered_in_words_has_no_masks_to_score():
    assert [name for name, layout in LAYOUTS.items() if layout.benchmark.in_words] == ["llava-vqa"]
    assert {name: layout.benchmark.table for name, layout in LAYOUTS.items() if layout.benchmark.table} == {
        "revos": "revos",
        "ref-davis17": "ref-davis",
    }
