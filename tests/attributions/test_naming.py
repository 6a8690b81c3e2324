import pytest

from attributions.naming import cut, drawable, isolated, told_apart

ODD = ["a\ud800b", "\udfff", "\u202eabc", "line\nbreak", "nul\0", "x" * 10_000, "\u2066\u2069", ""]


@pytest.mark.parametrize("function", [cut, drawable, isolated])
@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_every_name_can_be_written_in_one_line_of_bounded_length(function, name):
    shown = function(name, 20)
    shown.encode("utf-8")
    assert len(shown.replace(r"\$", "$")) <= 22
    assert shown.isprintable() or shown.strip("\u2068\u2069").isprintable()


def test_ordinary_names_stay_as_they_are():
    for name in ("cat", "blü", "large, left", "<b>x", "a_b", "数字", "👩‍🔬"):
        assert cut(name) == isolated(name) == drawable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("abcdefghij", "abcdefghij"),
        ("abcdefghijk", "abcdefghi…"),
        ("\u202e" * 9 + "abcdefghij", "abcdefghij"),
        ("\u202e" * 500 + "abc", "…"),
        ("a\tb\r\nc", "a b  c"),
        ("a\x1b[31m", "a\ufffd[31m"),
        ("a\ud83d", "a\ufffd"),
    ],
)
def test_names_are_cut_and_what_cannot_be_shown_is_replaced(name, shown):
    assert cut(name, 10) == shown


def test_dollars_are_no_formula_in_matplotlib():
    from matplotlib.cbook import is_math_text

    for name in ("$\\frac{", "$x$", "$5 or $6", "$", "100 \\$"):
        assert not is_math_text(drawable(name) * 2)


def test_a_name_from_right_to_left_is_isolated():
    assert isolated("قط") == "\u2068قط\u2069"
    assert isolated("cat قط") == "\u2068cat قط\u2069"
    assert isolated("\u2069قط\u2069") == "\u2068قط\u2069"  # it cannot end its own isolation


def test_names_that_are_alike_are_told_apart_by_their_places():
    assert told_apart(["a", "b", "a"]) == ("a #0", "b", "a #2")
    assert told_apart(["a", "b"]) == ("a", "b")
