from gentoolkit.errors import joined, listing, suggest


def test_the_nearest_choice_is_suggested_and_nothing_where_none_is_near():
    assert suggest("ditt", ["dit", "unet"]) == "did you mean 'dit'?"
    assert suggest("patterns", ["dit", "unet"]) == ""


def test_parts_of_a_message_that_are_empty_leave_no_trace():
    assert joined("no such file", "", suggest("ditt", ["dit"])) == "no such file; did you mean 'dit'?"
    assert joined("no such file", suggest("x", [])) == "no such file"


def test_choices_are_listed_sorted():
    assert listing({"b", "a"}) == "'a', 'b'"
    assert listing([]) == "none"
