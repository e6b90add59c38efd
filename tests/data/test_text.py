"""Text as people have it is read one way: encodings, separators, blanks, numbers, paths."""

import warnings

import pytest

from brain_tumor.data import text
from brain_tumor.errors import DataError, DataWarning

WORDS = "Größe, Łódź"


@pytest.mark.parametrize(
    "content",
    [
        WORDS.encode(),
        WORDS.encode("utf-8-sig"),
        WORDS.encode("utf-16"),
        b"\xfe\xff" + WORDS.encode("utf-16-be"),
        WORDS.encode("utf-16-le"),
        WORDS.encode("utf-16-be"),
    ],
    ids=["UTF-8", "with a mark", "UTF-16", "big-endian with a mark", "little-endian", "big-endian"],
)
def test_every_unicode_is_read_without_a_word(tmp_path, content):
    (tmp_path / "t.txt").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert text.read(tmp_path / "t.txt") == WORDS


def test_latin_1_is_read_and_said(tmp_path):
    (tmp_path / "t.txt").write_bytes("Müller".encode("latin-1"))
    with pytest.warns(DataWarning, match="t.txt: not UTF-8, read as Latin-1"):
        assert text.read(tmp_path / "t.txt") == "Müller"


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\xff\xfe\x00", b"PK\x03\x04\x00\x00\x00\x00", b"a\0b"])
def test_what_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match="t.csv: not text"):
        text.read(tmp_path / "t.csv")


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"t.csv: cannot be read \(No such file"):
        text.read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_is_read_whatever_its_encoding(tmp_path, encoding):
    (tmp_path / "t.json").write_text('{"a": ["ä"]}', encoding=encoding)
    assert text.read_json(tmp_path / "t.json") == {"a": ["ä"]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_whatever_parts_its_cells_and_lines(tmp_path, delimiter, end):
    rows = [[" Patient ", "age", ""], ["P1", '"a b"', ""], ["", "", ""], ["P2"]]
    (tmp_path / "t.csv").write_bytes(end.join(delimiter.join(row) for row in rows).encode())
    table = text.read_table(tmp_path / "t.csv")
    assert (table.columns, table.delimiter) == (("Patient", "age"), delimiter)
    assert [row.cells for row in table.rows] == [{"Patient": "P1", "age": "a b"}, {"Patient": "P2", "age": ""}]
    assert [row.line for row in table.rows] == [2, 4]


@pytest.mark.parametrize("blank", ["", "NA", "n/a", "-", "NaN", "nan", " N/A ", "#N/A", "–"])
def test_words_for_nothing_are_empty(tmp_path, blank):
    (tmp_path / "t.csv").write_text(f"a,b\n1,{blank}\n")
    assert text.read_table(tmp_path / "t.csv").rows[0].cells == {"a": "1", "b": ""}


def test_cells_beyond_the_header_are_told(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,61,5\n1,2,,\n")
    assert [row.surplus for row in text.read_table(tmp_path / "t.csv").rows] == [("5",), ()]


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("Patient,patient\n1,2\n")
    with pytest.raises(DataError, match="'Patient' is there twice"):
        text.read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("cell", "delimiter", "number"),
    [("61.5", ",", 61.5), ("61,5", ";", 61.5), ("61,5", ",", 61.5), ("-,5", ";", -0.5), ("1,234", ";", 1.234), ("1e3", ",", 1e3)],
)
def test_decimals_may_stand_behind_a_comma(tmp_path, cell, delimiter, number):
    assert text.Table(tmp_path, (), (), delimiter).number(cell) == number


@pytest.mark.parametrize("cell", ["male", "1,234", "1,2,3", "1.234,5", "inf", "1_0", "0x1", ""])
def test_what_is_no_number_or_two_is_refused(tmp_path, cell):
    with pytest.raises(ValueError, match="is no number|may be 1234 or 1.234"):
        text.Table(tmp_path, (), (), ",").number(cell)


@pytest.mark.parametrize("cell", ["12", "012", "12.0", "12,00", "12."])
def test_a_whole_number_may_have_been_through_a_spreadsheet(cell):
    assert text.whole(cell) == 12


@pytest.mark.parametrize("cell", ["12.5", "-12", "x", "", "1e1"])
def test_what_is_no_whole_number_is_refused(cell):
    with pytest.raises(ValueError, match="no whole number"):
        text.whole(cell)
