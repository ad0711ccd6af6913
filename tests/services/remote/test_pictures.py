"""An inspection's images and words on their way to a provider."""

from mmad_answer.prompt import Message, Speaker
from mmad_answer.remote.images import ImagePolicy
from mmad_answer.remote.pictures import Pictures


def test_texts_side_by_side_are_one_and_images_keep_their_places(plain, inspect, make_picture):
    image = make_picture()
    pictures = Pictures(inspect(images=(image,)), ImagePolicy(), plain)
    message = Message(Speaker.USER, ("Look.", "\n\n", "Image 1:", image, image, "\n", "Well?"))
    part = {"image": "image/png 8x6"}
    [said] = pictures.said([message])
    assert said.parts == ("Look.\n\nImage 1:", part, part, "\nWell?")
