"""Let torchvision be imported beside a torch that it was not built for, in the environment that runs this.

The package index has torchvision for CUDA builds of torch only. Beside a CPU build its compiled operators do
not load, and `import torchvision` fails because two of them were never declared. No model calls them, so a
declaration is enough: a hook makes it just before torchvision is imported. This is for environments of the
tests, on machines without a GPU. Where torchvision works, or is not installed, nothing is changed.
"""

import importlib.util
import pathlib
import subprocess
import sys
import sysconfig

HOOK = '''\
"""Declares the operators that torchvision wants, before it is imported. For tests; see their folder."""

import sys


class _Declare:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(cls)
            import torch

            cls.library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                cls.library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


sys.meta_path.insert(0, _Declare)
'''


def main() -> None:
    """Write the hook where it is needed."""
    if importlib.util.find_spec("torchvision") is None:
        return
    tried = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True)
    if "torchvision::nms does not exist" not in tried.stderr:
        return
    packages = pathlib.Path(sysconfig.get_path("purelib"))
    (packages / "_declare_torchvision_operators.py").write_text(HOOK, encoding="utf-8")
    (packages / "_declare_torchvision_operators.pth").write_text(
        "import _declare_torchvision_operators\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
