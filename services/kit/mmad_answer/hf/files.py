"""Which files make up a checkpoint. It needs no library: what only downloads checkpoints asks here too."""

from typing import Final

CHECKPOINT_FILES: Final = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
"""What is fetched of a hub's checkpoint: no code, and weights in one form only."""
