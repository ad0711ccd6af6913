async def test_each_question_of_each_inspection_gets_one_kept_reply(house):
    service = await house.service()
    endings = await house.run(house.inspections(6), house.model(service))
    assert [ending.reason for ending in endings] == [""]
    assert len(house.memory.replies) == 18
    assert all(reply.text == f"A, to {reply.question_id}" for reply in house.memory.replies.values())
    assert house.memory.codes() == ["OK"] * 6
    assert house.memory.states == []
