import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentoolkit.recipe.reader import MAX_DEPTH, MAX_NODES, MAX_SIZE, read, scalar


def plain(text):
    faults = []
    node = read(text, "r.yaml", faults)
    assert faults == []
    return node.plain()


def faults_of(text):
    faults = []
    read(text, "r.yaml", faults)
    return [str(fault) for fault in faults]


# YAML 1.2.2, Sec. 10.3.2, and what YAML 1.1 reads otherwise.
SCALARS = [
    ("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("nUll", "nUll"),
    ("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False), ("FALSE", False),
    ("yes", "yes"), ("no", "no"), ("on", "on"), ("Off", "Off"), ("y", "y"), ("n", "n"), ("tRue", "tRue"),
    ("0", 0), ("-0", 0), ("+7", 7), ("-19", -19), ("012", 12), ("0o17", 15), ("0o7", 7), ("0x3A", 58), ("0x1f", 31),
    ("0o8", "0o8"), ("0b101", "0b101"), ("-0x1F", "-0x1F"), ("+0o7", "+0o7"), ("0xG", "0xG"), ("0X1F", "0X1F"),
    ("1_000", "1_000"), ("1,000", "1,000"), ("190:20:30", "190:20:30"), ("١", "١"),
    ("1e-4", 1e-4), ("1E4", 1e4), ("1e+4", 1e4), ("12e03", 12e3), (".5", 0.5), ("-.5", -0.5), ("+.5e1", 5.0),
    ("5.", 5.0), ("5.e1", 50.0), ("-2E+05", -2e5), ("0.1", 0.1), ("1.0", 1.0), ("-0.0", 0.0),
    (".", "."), ("-", "-"), ("+", "+"), ("e5", "e5"), (".e5", ".e5"), ("1e", "1e"), ("1e1.5", "1e1.5"),
    ("1.2.3", "1.2.3"),
    ("inf", "inf"), ("nan", "nan"), ("Infinity", "Infinity"), (".iNf", ".iNf"), ("=", "="),
    ("2001-01-01", "2001-01-01"),
    ("1 2", "1 2"), ("12\n", "12\n"), ("0x", "0x"), ("None", "None"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_mean_what_the_core_schema_says(text, value):
    result = scalar(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.inf", "+.Inf", ".INF", ".nan", ".NaN", ".NAN"])
def test_what_is_not_finite_is_refused(text):
    with pytest.raises(ValueError, match=r"is not a finite number"):
        scalar(text)


# 1.8e308 is just above the largest double; int() itself gives up at 4300 digits.
@pytest.mark.parametrize("text", ["1e309", "-1.8e308", "9" * 400, "9" * 5000, "0" * 5000 + "1", "0x" + "f" * 300])
def test_numbers_that_no_float_holds_are_refused(text):
    with pytest.raises(ValueError, match=r"is too large"):
        scalar(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_back(value):
    assert scalar(repr(value)) == value


@given(st.integers(-(2**1000), 2**1000))
def test_every_integer_is_read_back(value):
    assert scalar(str(value)) == value
    assert type(scalar(str(value))) is int


def test_values_and_places():
    text = "a: 1\nb:\n  - x: 'é' # comment\n    y: [true, ~,\n        .5]\n  - \"12\"\nc: |\n  1\nd:\n"
    assert plain(text) == {"a": 1, "b": ({"x": "é", "y": (True, None, 0.5)}, "12"), "c": "1\n", "d": None}
    root = read(text, "r.yaml", [])
    inner = root.child("b").child("0")
    assert str(root.place) == "r.yaml:1:1"
    assert str(root.keys["b"]) == "r.yaml:2:1"
    assert str(inner.child("x").place) == "r.yaml:3:8"
    assert str(inner.keys["y"]) == "r.yaml:4:5"
    assert str(inner.child("y").child("2").place) == "r.yaml:5:9"
    assert root.child("b").child("2") is None
    assert root.child("b").child("x") is None
    assert root.child("a").child("x") is None


def test_quoted_and_block_scalars_are_text():
    assert plain("['1', \"true\", '', 'null', '<<']") == ("1", "true", "", "null", "<<")
    assert plain(">-\n  1e3\n") == "1e3"


def test_aliases_are_expanded_and_keep_the_place_of_the_value():
    root = read("a: &x {k: 1}\nb: *x\n&y c: *x\n*y : 2", "r.yaml", found := [])
    assert root.plain() == {"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1}}
    assert root.child("b").place == root.child("a").place
    assert [str(fault) for fault in found] == ["r.yaml:4:1: c: duplicate key; the first is on line 3; remove one"]


@pytest.mark.parametrize("text", ["\r\na: 1\r\nb: .inf\r\n", "\na: 1\nb: .inf\n", "\ra: 1\rb: .inf\r"])
def test_lines_are_counted_whatever_ends_them(text):
    assert faults_of(text) == ["r.yaml:3:4: b: .inf is not a finite number"]


def test_a_byte_order_mark_moves_no_column():
    assert faults_of("\ufeffa: .inf") == ["r.yaml:1:4: a: .inf is not a finite number"]


FAULTS = [
    ("a: !!str 1", "1:4: a: tag '!!str' is not allowed; types follow from the fields; remove the tag"),
    ("a: !!python/object:os.system {}", "1:4: a: tag '!!python/object:os.system' is not allowed; "),
    ("a: ! 1", "1:4: a: tag '!' is not allowed; "),
    ("a: !x [1]", "1:4: a: tag '!x' is not allowed; "),
    ("a: 1\nb: 2\na: 3", "3:1: a: duplicate key; the first is on line 1; remove one"),
    ("a: {b: 1, 'b': 2}", "1:11: a.b: duplicate key; the first is on line 1; "),
    ("a: &x {k: 1}\nb:\n  <<: *x", "3:3: b.<<: merge keys are not allowed; write the fields out"),
    ("a:\n  1: 2", "2:3: a: key 1 is not text; put it in quotes"),
    ("a: {true: 2}", "1:5: a: key true is not text; "),
    ("? [1]\n: 2", "1:3: key a list is not text; "),
    ("? {a: 1}\n: 2", "1:3: key a mapping is not text; "),
    ("a: 1\n---\nb: 1", "2:1: a second document starts here; expected only one"),
    ("a: 1\n...\n---\n", "3:1: a second document starts here; "),
    ("%YAML 1.1\n---\na: 1", "1:1: YAML 1.1 is not supported; expected 1.2 "),
    ("a: *b", "1:4: a: alias '*b' has no anchor '&b' that ends before it"),
    ("a: &b [*b]", "1:8: a.0: alias '*b' has no anchor"),
    ("a: [-.inf]", "1:5: a.0: -.inf is not a finite number"),
    ("a: 1e999", "1:4: a: the number the text '1e999' is too large"),
    ("a: b: c", "1:5: not valid YAML: mapping values are not allowed"),
    ("a: 1\n\tb: 2", "2:1: not valid YAML: found character '\\t' that cannot start any token"),
    ("a: @x", "1:4: not valid YAML: "),
    ("a: 'x", ": not valid YAML: found unexpected end of stream (while scanning a quoted scalar of line 1, column 4)"),
    (
        "a: [1,\n 2",
        "2:3: not valid YAML: expected ',' or ']', but got '<stream end>' (while parsing a flow sequence of line 1",
    ),
    ("a: \x00", "1:4: character '\\x00' is not allowed; write it as an escape sequence in double quotes"),
    ("a: 1\nb: \ud800", "2:4: character '\\ud800' is not allowed; "),
    ("a: 1\n# \u2028b: 2", "2:3: character '\\u2028' is not allowed; "),
    ("a: 1\r\nb: \x00", "2:4: character '\\x00' is not allowed; "),
    ("a: 1\rb: \x00", "2:4: character '\\x00' is not allowed; "),
    ("a: \x85", "1:4: character '\\x85' is not allowed; "),
]


@pytest.mark.parametrize(("text", "expected"), FAULTS)
def test_what_is_not_allowed_is_told_with_its_place(text, expected):
    assert any(expected in fault for fault in faults_of(text)), faults_of(text)


def test_reading_goes_on_after_a_fault():
    text = "a: !!int 1\nb: .nan\nc: {x: 1, x: 2}\n<<: {}\nd: 4"
    faults = []
    assert read(text, "r.yaml", faults).plain() == {"a": 1, "b": None, "c": {"x": 1}, "d": 4}
    assert len(faults) == 4


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "   \n\n"])
def test_an_empty_text_has_no_root(text):
    faults = []
    assert read(text, "r.yaml", faults) is None
    assert faults == []


def nested(levels):
    return "[" * levels + "]" * levels


def test_depth_is_bounded():
    assert faults_of(nested(MAX_DEPTH)) == []
    assert faults_of(nested(MAX_DEPTH + 1)) == [
        f"r.yaml:1:{MAX_DEPTH + 1}: 0: nested more than {MAX_DEPTH} levels deep"
    ]
    assert len(faults_of(nested(100_000))) == 1


def test_depth_counts_through_aliases():
    half = MAX_DEPTH // 2
    inside = f"a: &a {nested(half)}\nb: {'[' * (half - 1)}*a{']' * (half - 1)}\n"
    assert faults_of(inside) == []
    too_deep = f"a: &a {nested(half)}\nb: {'[' * half}*a{']' * half}\n"
    assert any(f"nested more than {MAX_DEPTH} levels" in fault for fault in faults_of(too_deep))


def test_the_number_of_values_is_bounded():
    assert faults_of(f"[{'1,' * (MAX_NODES - 1)}]") == []
    assert any(f"more than {MAX_NODES} values" in fault for fault in faults_of(f"[{'1,' * MAX_NODES}]"))


def test_a_billion_laughs_fail_fast():
    lines = ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    # Expanding 9**29 values would take centuries: this test would never end.
    assert any(f"more than {MAX_NODES} values" in fault for fault in faults_of("\n".join(lines)))


def test_size_is_bounded():
    assert faults_of("# " + "x" * (MAX_SIZE - 2)) == []
    assert faults_of("# " + "x" * (MAX_SIZE - 1)) == [f"r.yaml:1:1: {MAX_SIZE + 1} characters; the limit is {MAX_SIZE}"]
