"""Until a service is ready: whatever it says, there is one line, and no traceback."""

import dataclasses

import grpc
import pytest

from orchestrator.errors import EndpointError


async def test_a_card_that_cannot_be_read_is_told_in_one_line(check, honest_service):
    class Garbled(honest_service):
        def more_methods(self):
            async def get_model(request, context):
                return b"\xff\xff"

            return {"GetModel": grpc.unary_unary_rpc_method_handler(get_model)}

    with pytest.raises(EndpointError, match=r"sent what cannot be read: does it speak mmad\.answer\.v1\?"):
        await check(Garbled)


async def test_a_state_that_the_contract_does_not_have_is_told_by_its_number(check, honest_service, settings):
    class Undecided(honest_service):
        def card(self):
            card = super().card()
            card.state = 9
            return card

    soon = dataclasses.replace(settings, wait_seconds=0.1)
    with pytest.raises(EndpointError, match=r"not ready after 0\.1 s \(9, which is no State"):
        await check(Undecided, settings=soon)


async def test_a_process_that_ends_before_it_is_ready_is_not_waited_for(check, honest_service):
    class Ends(honest_service):
        async def get_model(self, request, context):
            self.ended.set_result(3)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "good-bye")

    with pytest.raises(EndpointError, match="honest: its process has ended with code 3"):
        await check(Ends)
