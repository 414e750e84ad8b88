"""Tables as people and spreadsheets write them are understood; what is not is named with its line."""

import json

import pytest

from saymask.datasets.own.sentences import Row, read_sentences

HEADER = "video,objects,sentence\n"


def table(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "sentences.csv"
    path.write_bytes(text.encode(encoding))
    return read_sentences(path)


def said(sentences):
    assert sentences.problems == ()
    return [(row.video, row.objects, row.text, row.split) for row in sentences.rows]


@pytest.mark.parametrize(
    "text, encoding",
    [
        ('video,objects,sentence\na,1 2,"two, of them"\nb,,nichts für uns\n', "utf-8"),
        ('video,objects,sentence\r\na,1 2,"two, of them"\r\nb,,nichts für uns\r\n', "utf-8-sig"),
        ("Video;Object;Sentence\na;1 2;two, of them\n\nb;;nichts für uns\n;;\n", "utf-8-sig"),
        ("\n\nvideo;objects;sentence\na;1 2;two, of them\nb;;nichts für uns\n", "utf-8"),
        ("sentence\tvideo\tobjects\t\ntwo, of them\ta\t 1 2\t\t\nnichts für uns\tb\t\n", "utf-8"),
    ],
)
def test_tables_of_spreadsheets_say_the_same(text, encoding, tmp_path):
    assert said(table(tmp_path, text, encoding)) == [("a", "1 2", "two, of them", "train"), ("b", "", "nichts für uns", "train")]


def test_a_row_says_where_it_stands(tmp_path):
    sentences = table(tmp_path, HEADER + '\na,1,"over\ntwo lines"\nb,,it\n')
    path = tmp_path / "sentences.csv"
    assert sentences.rows == (
        Row(f"{path} line 3", "a", "1", "over\ntwo lines", "train"),
        Row(f"{path} line 5", "b", "", "it", "train"),
    )


def test_a_list_of_records_and_a_meta_file_say_the_same(tmp_path):
    path = tmp_path / "sentences.json"
    path.write_text(
        json.dumps(
            [{"video": "a", "objects": ["x", 2], "sentence": "it", "split": "VAL"}, {"video": "b", "object": None, "sentence": "no"}]
        )
    )
    expected = [("a", "x; 2", "it", "val"), ("b", "", "no", "train")]
    assert said(read_sentences(path)) == expected
    meta = {
        "a": {"split": "val", "frames": ["0"], "expressions": {"7": {"exp": "it", "obj_id": ["x", 2]}}},
        "b": {"expressions": {"0": {"exp": "no", "obj_id": []}}},
    }
    path.write_text(json.dumps({"videos": meta}))
    assert said(read_sentences(path)) == expected
    assert [row.exp_id for row in read_sentences(path).rows] == ["7", "0"]


@pytest.mark.parametrize(
    "text, problems",
    [
        ("", ["sentences.csv: the file is empty; begin it with the line video,objects,sentence"]),
        (HEADER, ["sentences.csv: there are no sentences in it; "]),
        ("a,1,it\n", ["line 1: no header, 'a' is no column; "]),
        ("video,object,objects,sentence\n", ["line 1: two columns have one name; "]),
        ("video,sentence\na,it\n", ["line 1: no column 'objects'; there must be video, objects, sentence"]),
        (
            "video,objcts,sentense\na,1,it\n",
            ["unknown column 'objcts'; rename or remove it (did you mean 'objects'?)", "unknown column 'sentense'; "],
        ),
        (
            HEADER + "a,1\n,1,it\na,1,\n",
            ["line 2: 2 cells, but", "line 3: no video", "line 4: the sentence is"],
        ),
        (HEADER + 'a,1,it\na,1,"it\n', ["line 3: not readable as a table (unexpected end of data); a quotation mark"]),
    ],
)
def test_problems_of_tables_are_all_listed(text, problems, tmp_path):
    found = table(tmp_path, text).problems
    assert len(found) == len(problems), found
    for problem, expected in zip(found, problems, strict=True):
        assert problem.startswith(str(tmp_path)) and expected in problem


def test_tables_in_other_encodings_are_refused(tmp_path):
    (problem,) = table(tmp_path, HEADER, "utf-16").problems
    assert "it is in UTF-16" in problem and "'CSV UTF-8'" in problem
    (problem,) = table(tmp_path, HEADER + "a,1,it\nb,1,für\n", "latin-1").problems
    assert "line 3: byte 0xfc is not UTF-8" in problem


@pytest.mark.parametrize(
    "content, problem",
    [
        ("[", "sentences.json: not valid JSON"),
        ("3", 'sentences.json: neither a list of records nor {"videos"'),
        ('["it"]', "record 1: 'it' is no record"),
        ('[{"video": "a", "sentence": "it"}]', "record 1: no column 'objects'"),
        ('[{"video": "a", "objects": 1, "sentence": "it", "comment": "?"}]', "record 1: unknown column 'comment'"),
        ('[{"video": "a", "objects": 1, "obj_id": 2, "sentence": "it"}]', "record 1: two columns have one name"),
        ('[{"video": "a", "objects": 1, "sentence": ["it", "that"]}]', "record 1: 'sentence' is ['it', 'that']; write a text"),
        ('{"videos": {"a": {"frames": []}}}', "video a: 'expressions' is missing"),
        ('{"videos": {"a": {"expressions": {"3": {"obj_id": 1}}}}}', "video a, expression 3: no column 'sentence'"),
    ],
)
def test_problems_of_json_are_named(content, problem, tmp_path):
    path = tmp_path / "sentences.json"
    path.write_text(content)
    (found,) = read_sentences(path).problems
    assert problem in found and "; " in found
