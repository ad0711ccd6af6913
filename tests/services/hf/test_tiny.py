"""The tiny checkpoints are fit for these tests: what they say depends on all that they are shown."""


def texts(answers):
    return [each["text"] for each in answers.values()]


def test_what_a_tiny_checkpoint_says_depends_on_every_image_and_their_order(library):
    changed = ("templates_swapped", "another_template", "another_query", "one_shot")
    said = [texts(library["two_shots"]), *(texts(library[name]) for name in changed)]
    assert len({str(each) for each in said}) == len(said)


def test_what_a_tiny_checkpoint_says_has_various_tokens_and_lengths(library):
    answers = [each for of_one in library.values() for each in of_one.values()]
    assert len({each["text"] for each in answers}) > len(answers) // 2
    assert {each["ended"] for each in answers} == {True, False}
