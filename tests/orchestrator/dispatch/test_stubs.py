"""What is imported when, and what is said when the kit is not there."""

import subprocess
import sys


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_missing_kit_is_told_with_the_command_that_installs_it():
    result = python(
        "import sys; sys.modules['mmad'] = None\n"
        "from orchestrator.errors import UserError\n"
        "try:\n    import orchestrator.dispatch.fanout\n"
        "except UserError as error:\n    print(error)"
    )
    assert "mmad-answer is missing" in result.stdout
    assert result.stdout.strip().endswith("pip install ./services/kit")


def test_the_packages_and_the_reading_of_endpoints_need_neither_grpc_nor_numpy():
    result = python(
        "import sys\n"
        "import orchestrator.dispatch, orchestrator.dispatch.cards\n"
        "import orchestrator.endpoints.arguments, orchestrator.endpoints.file\n"
        "import orchestrator.endpoints.checkout\n"
        "print(sorted({'grpc', 'numpy'} & set(sys.modules)))"
    )
    assert result.stdout.strip() == "[]", result.stderr
