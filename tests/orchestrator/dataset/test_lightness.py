import subprocess
import sys


def test_the_modules_that_verbs_import_do_not_load_the_heavy_libraries() -> None:
    """`orchestrator --help` stays quick."""
    script = """
import sys
from orchestrator.dataset import download, locate, masks, reading, sample, summary, verify
print(sorted({"numpy", "scipy", "PIL", "rich", "huggingface_hub", "grpc"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
