"""The contract's generated stubs, which come with the kit, or a clear word that it is not installed."""

from __future__ import annotations

from orchestrator.errors import UserError

try:
    from mmad.answer.v1 import answer_pb2, answer_pb2_grpc
except ModuleNotFoundError as error:
    raise UserError(
        f"The contract's stubs cannot be imported ({error}): the package mmad-answer is missing. "
        "In the project's folder: pip install ./services/kit"
    ) from error

__all__ = ["answer_pb2", "answer_pb2_grpc"]
