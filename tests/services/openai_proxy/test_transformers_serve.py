"""A real server of the protocol: transformers' own, with a tiny checkpoint, against the library itself.

The two scale images by different backends. So the images are of one colour, or need no scaling: then every
pixel is the same, and so must be every text.
"""

import contextlib
import io
import os
import random
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import grpc
import PIL.Image
import pytest

from mmad.answer.v1 import answer_pb2 as pb

SERVER = Path(__file__).parent / "transformers-serve"
ROOT = Path(__file__).parents[3]
QUERY, NORMAL = pb.IMAGE_ROLE_QUERY, pb.IMAGE_ROLE_NORMAL_TEMPLATE


@pytest.fixture(scope="module")
def serving(environment, tmp_path_factory):
    """Run `transformers serve` on a checkpoint: `with serving(folder) as address`."""

    @contextlib.contextmanager
    def start(folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        transformers = environment(SERVER.relative_to(ROOT)).with_name("transformers")
        log = tmp_path_factory.mktemp("serve") / "log"
        line = [transformers, "serve", folder, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
        settings = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HOME": str(log.parent)}
        with (
            log.open("w") as output,
            subprocess.Popen(line, env=os.environ | settings, stdout=output, stderr=output) as process,
        ):
            try:
                address = f"http://127.0.0.1:{port}"
                end = time.monotonic() + 120
                while not is_healthy(address):
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < end, log.read_text()
                    time.sleep(0.1)
                yield address
            finally:
                process.kill()

    return start


def is_healthy(address):
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=10) as response:
        return response.status == 200
    return False


def encoded(picture, role=QUERY):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return pb.Image(role=role, content=file.getvalue(), media_type="image/png")


def plain(role, colour, size):
    return encoded(PIL.Image.new("RGB", size, colour), role)


def noise(role, seed):
    """As large as the vision tower's view, so that nothing scales it."""
    return encoded(PIL.Image.frombytes("RGB", (28, 28), random.Random(seed).randbytes(28 * 28 * 3)), role)


PICTURES = {
    "llava_1_6": [
        [plain(NORMAL, "navy", (28, 56)), plain(QUERY, "red", (56, 56))],
        [plain(NORMAL, "navy", (28, 56)), plain(QUERY, "lime", (56, 56))],
        [plain(QUERY, "red", (56, 28)), plain(pb.IMAGE_ROLE_DEFECT_EXAMPLE, "white", (28, 28))],
        [],
    ],
    "llava_1_5": [[noise(NORMAL, 1), noise(QUERY, 2)], [noise(NORMAL, 2), noise(QUERY, 1)]],
}
THINKS = pb.CHAIN_OF_THOUGHT_PER_INSPECTION
ALONE, TOGETHER, THINKING = (
    pb.Prompting(),
    pb.Prompting(conversation_history=True),
    pb.Prompting(instruction="Say a letter.", chain_of_thought=THINKS),
)
# Here 1.5 answers a question with nothing, and the proxy sends no turn without words: no history for it.
WAYS = {"llava_1_6": (ALONE, TOGETHER, THINKING), "llava_1_5": (ALONE, THINKING)}


def requests(name):
    """Every set of pictures in every way of asking."""
    options = [
        pb.Option(letter=letter, text=text) for letter, text in zip("ABC", ("Yes", "No", "Rim"), strict=True)
    ]
    questions = [
        pb.Question(question_id=text, text=text, options=options)
        for text in ("Is it whole?", "Where?", "Why?")
    ]
    return [
        pb.AnswerRequest(
            inspection_id="i",
            images=images,
            questions=questions,
            prompting=way,
            domain_knowledge="It is round.",
            generation=pb.Generation(max_new_tokens=12),
        )
        for images in PICTURES[name]
        for way in WAYS[name]
    ]


def told(service, request):
    """(text, thoughts, why it ends) of each answer."""
    answers = service.ask(request)
    assert all(each.HasField("answered") for each in answers.values()), answers
    return {
        name: (each.answered.text, each.answered.reasoning, each.answered.finish_reason)
        for name, each in answers.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_the_same_prompt_gets_the_same_texts_as_from_the_library_itself(running, serving, tiny, name):
    folder = tiny(name)
    thoughts = ("--max-reasoning-tokens", "10")
    with running("llava_next", "--checkpoint", folder, *thoughts) as library:
        expected = [told(library, request) for request in requests(name)]
    with (
        serving(folder) as address,
        running(
            "openai_proxy",
            *("--base-url", f"{address}/v1", "--model", folder, "--system-role", "user"),
            *thoughts,
        ) as proxy,
    ):
        given = [told(proxy, request) for request in requests(name)]
    assert given == expected
    # The texts depend on the pictures, or the comparison would show little.
    alone = expected[:: len(WAYS[name])]
    assert len({str(answers) for answers in alone}) == len(PICTURES[name])


@pytest.mark.slow
def test_a_wrong_model_ends_the_model_in_the_servers_words(running, serving, tiny):
    with (
        serving(tiny("llava_1_6")) as address,
        running("openai_proxy", "--base-url", f"{address}/v1", "--model", "other") as proxy,
        pytest.raises(grpc.RpcError) as ended,
    ):
        proxy.ask(requests("llava_1_6")[0])
    assert ended.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "Server is pinned to" in ended.value.details()
