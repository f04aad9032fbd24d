"""What datasets of the user's files share."""

import pytest

from gentoolkit.datafiles import CsvTable, is_number, position, refuse, split_rows
from gentoolkit.errors import UsageError


def test_the_share_of_held_out_keys_is_the_share_of_the_recipe_and_grows_with_it():
    positions = [position(f"cats/{i}.jpg") for i in range(10_000)]
    some, more = (set(split_rows(positions, share, "held_out", "rows")) for share in (0.1, 0.3))
    assert some < more
    for held_out, share in ((some, 0.1), (more, 0.3)):
        assert abs(len(held_out) - 10_000 * share) < 5 * (10_000 * share * (1 - share)) ** 0.5  # binomial
    assert sorted([*some, *split_rows(positions, 0.1, "train", "rows")]) == list(range(10_000))


def test_more_samples_move_none_to_the_other_split():
    names = [f"{i}.png" for i in range(100)]
    for split in ("train", "held_out"):
        few = [names[::2][i] for i in split_rows([position(name) for name in names[::2]], 0.2, split, "rows")]
        all_of_them = [names[i] for i in split_rows([position(name) for name in names], 0.2, split, "rows")]
        assert [name for name in all_of_them if name in few] == few


def test_a_key_is_held_out_as_it_always_was():
    # Splits of published runs depend on it, so this may never change.
    held_out = split_rows([position(f"{i}.png") for i in range(40)], 0.1, "held_out", "rows")
    assert sorted(held_out) == HELD_OUT
    assert position("é.png") == position("é.png".encode())


HELD_OUT = [0, 3, 18, 29, 31, 32, 39]


@pytest.mark.parametrize(("positions", "held_out"), [([2**63] * 5, 0), ([0] * 5, 5), ([], 0)])
def test_an_empty_split_is_refused(positions, held_out):
    total = len(positions)
    with pytest.raises(UsageError, match=f"{held_out} of the {total} rows are held out with held_out 0.1, so a split"):
        split_rows(positions, 0.1, "train", "rows")


def test_faults_are_counted_beyond_the_first_ten():
    refuse([], "none")
    with pytest.raises(UsageError) as told:
        refuse([f"fault {i}" for i in range(12)], "12 faults:")
    assert str(told.value).splitlines() == ["12 faults:", *(f"  fault {i}" for i in range(10)), "  and 2 more"]
    with pytest.raises(UsageError) as told:
        refuse([f"fault {i}" for i in range(10)], "10 faults:")
    assert str(told.value).splitlines()[-1] == "  fault 9"


def test_a_table_has_rows_with_their_lines(tmp_path):
    file = tmp_path / "t.csv"
    file.write_bytes('\ufeffx , "y, z"\n1,2\n\n"a\nb", c \n'.replace(' "', '"').encode())
    table = CsvTable(file)
    assert table.columns == ["x", "y, z"]
    assert table.index("y, z") == 1
    assert list(table.rows()) == [(2, ["1", "2"]), (5, ["a\nb", "c"])]
    file.write_text("x;y\n1,5;2\n")
    assert list(CsvTable(file, ";").rows()) == [(2, ["1,5", "2"])]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty; expected a line with the names of the columns"),
        (b"\n\n", "is empty; expected"),
        (b"x,,y\n", "column name '' in line 1 is empty"),
        (b"x,y,x\n", "column name 'x' in line 1 is repeated"),
        (b"1,2.5\n3,4\n", "line 1 has numbers; expected a line with the names of the columns"),
        (b"x,y\n1,2\n1\n", "line 3 has 1 cells; expected 2"),
        (b"x,y\n1,2,3\n", "line 2 has 3 cells; expected 2"),
        (b"x,y\n1,\xff\n", "is not UTF-8 text: byte 0xff"),
        (b'x,y\n"a"b,2\n', "line 2 is not CSV: "),
        (b'x,y\n1,"2\n', "line 2 is not CSV: "),
        (b"PK\x03\x04\x00", "is not text"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(tmp_path, content, expected):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UsageError) as told:
        list(CsvTable(tmp_path / "t.csv").rows())
    assert str(told.value).startswith(f"{tmp_path / 't.csv'}: {expected}")


def test_a_missing_column_is_told_with_the_nearest(tmp_path):
    (tmp_path / "t.csv").write_text("height,width\n")
    with pytest.raises(UsageError, match="has no column 'hight'; its columns are height, width; did you mean 'height'"):
        CsvTable(tmp_path / "t.csv").index("hight")


def test_numbers_are_what_float32_can_hold():
    assert all(map(is_number, ["0", "-1.5", "1e30", ".5", "3.4028234663852886e38"]))
    assert not any(map(is_number, ["", "x", "nan", "inf", "1e39", "1_000", "1,5", "0x10"]))
