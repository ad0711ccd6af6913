"""The tiny checkpoints are fit for these tests: what they say depends on all that they are shown."""


def test_what_a_tiny_checkpoint_says_depends_on_every_image_and_their_order(library):
    names = ("two_shots", "templates_swapped", "another_template", "another_query", "one_shot")
    answers = [library[name].values() for name in names]
    assert len({tuple(round(each["scores"]["A"], 4) for each in of_one) for of_one in answers}) == len(names)
    assert len({tuple(each["text"] for each in of_one) for of_one in answers}) > 2


def test_what_a_tiny_checkpoint_says_has_various_tokens_and_lengths(library):
    answers = [each for of_one in library.values() for each in of_one.values()]
    assert len({each["text"] for each in answers}) > len(answers) // 2
    assert {each["ended"] for each in answers} == {True, False}
