"""A check holds only if what it examines was shown to hold."""

from local.demo.check import Check, Checks, equal, none_of


def test_what_cannot_be_examined_does_not_hold() -> None:
    checks = Checks()

    def examine() -> tuple[bool, str]:
        raise LookupError("no such activity")

    checks.make("an activity", examine)
    assert checks.made == [Check("an activity", False, "LookupError: no such activity")]
    assert not checks.all_ok


def test_nothing_examined_is_nothing_shown() -> None:
    assert not Checks().all_ok


def test_a_difference_names_both_sides() -> None:
    assert equal(3, 3) == (True, "3")
    assert equal(3, 2) == (False, "expected 3, found 2")


def test_of_many_problems_the_first_few_are_named() -> None:
    assert none_of([], "all is well") == (True, "all is well")
    assert none_of(["a", "b", "c", "d", "e"], "") == (False, "a; b; c and 2 more")
