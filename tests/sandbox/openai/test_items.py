"""Items of the conversation over a real socket: create, retrieve, truncate, delete."""

from typing import Any

from tests.sandbox.openai.conftest import Client, OpenHouse


def message(role: str, text: str, **more: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **more}


async def spoken(client: Client) -> str:
    """The id of an item that the model has spoken to its end."""
    await client.configure()
    await client.send("response.create")
    done = await client.until("response.done")
    return str(done["response"]["output"][0]["id"])


async def test_items_stand_in_the_order_they_were_put_in(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        await client.send("conversation.item.create", item=message("user", "b", id="b"))
        assert (await client.until("conversation.item.added"))["previous_item_id"] is None
        assert (await client.until("conversation.item.done"))["item"]["status"] == "completed"
        await client.send("conversation.item.create", item=message("assistant", "d", id="d"))
        assert (await client.until("conversation.item.added"))["previous_item_id"] == "b"
        await client.send("conversation.item.create", item=message("system", "c", id="c"), previous_item_id="b")
        assert (await client.until("conversation.item.added"))["previous_item_id"] == "b"
        await client.send("conversation.item.create", item=message("user", "a", id="a"), previous_item_id="root")
        assert (await client.until("conversation.item.added"))["previous_item_id"] is None
        await client.send("conversation.item.create", item=message("user", "x"), previous_item_id="nobody")
        assert (await client.error())["code"] == "item_create_invalid_previous_item_id"
        await client.send("conversation.item.create", item=message("user", "x", id="a"))
        assert (await client.error())["code"] == "item_create_duplicate_item_id"
        await client.send("conversation.item.retrieve", item_id="c")
        assert (await client.until("conversation.item.retrieved"))["item"]["content"][0]["text"] == "c"


async def test_content_must_fit_its_role(house: OpenHouse) -> None:
    wrong = {"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": "x"}]}
    async with house() as h, h.call() as client:
        await client.send("conversation.item.create", item=wrong)
        error = await client.error()
        assert (error["code"], error["param"]) == ("invalid_value", "item.content[0].type")


async def test_truncation_cuts_the_words_that_nobody_heard(house: OpenHouse) -> None:
    # Without a speech engine a word lasts 80 ms plus 30 ms per letter, with a gap of 60 ms between two words.
    async with house({"turns": [{"say": "one two three"}]}) as h, h.call() as client:
        item_id = await spoken(client)
        truncate = {"item_id": item_id, "content_index": 0}
        await client.send("conversation.item.truncate", **truncate, audio_end_ms=400)
        assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 400
        await client.send("conversation.item.retrieve", item_id=item_id)
        item = (await client.until("conversation.item.retrieved"))["item"]
        assert item["content"][0]["transcript"] == "one two"
        assert h.truth.spoken() == "one two"
        assert [(each.id, each.audio_end_ms) for each in h.truth.truncations] == [(item_id, 400)]
        assert len(h.truth.items[item_id].audio) > 400 * 8, "the record keeps everything that was generated"
        await client.send("conversation.item.truncate", **truncate, audio_end_ms=401)
        assert (await client.error())["message"] == "Audio content of 400ms is already shorter than 401ms"


async def test_truncation_beyond_what_was_generated_is_an_error(house: OpenHouse) -> None:
    async with house({"turns": [{"tone": {"hz": 440, "ms": 1_000}}]}) as h, h.call() as client:
        item_id = await spoken(client)
        truncate = {"item_id": item_id, "content_index": 0}
        await client.send("conversation.item.truncate", **truncate, audio_end_ms=1_001, event_id="e")
        error = await client.error()
        assert error["type"] == "invalid_request_error"
        assert error["message"] == "Audio content of 1000ms is already shorter than 1001ms"
        assert error["event_id"] == "e"
        await client.send("conversation.item.truncate", **truncate, audio_end_ms=0)
        assert (await client.error())["code"] == "unsupported_content_type"
        await client.send("conversation.item.truncate", **truncate, audio_end_ms=1_000)
        await client.until("conversation.item.truncated")


async def test_while_it_is_generated_its_length_is_what_was_sent(house: OpenHouse) -> None:
    async with house({"turns": [{"tone": {"hz": 440, "ms": 60_000}}]}, speed=0.01) as h, h.call() as client:
        await client.configure()
        await client.send("response.create")
        item_id = (await client.until("response.output_audio.delta"))["item_id"]
        await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=101)
        assert "content of 100ms" in (await client.error())["message"]


async def test_only_what_the_model_said_can_be_truncated(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        await client.send("conversation.item.create", item=message("assistant", "Hello.", id="typed"))
        await client.send("conversation.item.truncate", item_id="typed", content_index=0, audio_end_ms=10)
        assert (await client.error())["message"] == "Only model output audio messages can be truncated"
        await client.send("conversation.item.truncate", item_id="nobody", content_index=0, audio_end_ms=10)
        assert (await client.error())["code"] == "item_truncate_invalid_item_id"
        await client.send("conversation.item.truncate", item_id="typed", content_index=0, audio_end_ms=1.5)
        assert (await client.error())["param"] == "audio_end_ms"


async def test_a_deleted_item_is_gone(house: OpenHouse) -> None:
    async with house() as h, h.call() as client:
        item_id = await spoken(client)
        await client.send("conversation.item.delete", item_id=item_id)
        assert (await client.until("conversation.item.deleted"))["item_id"] == item_id
        await client.send("conversation.item.delete", item_id=item_id)
        assert (await client.error())["code"] == "item_delete_invalid_item_id"
        await client.send("conversation.item.retrieve", item_id=item_id)
        assert (await client.error())["code"] == "item_retrieve_invalid_item_id"
        assert [each.id for each in h.truth.deletions] == [item_id]


async def test_an_item_may_be_deleted_while_it_is_said(house: OpenHouse) -> None:
    async with house({"turns": [{"tone": {"hz": 440, "ms": 60_000}}]}, speed=10) as h, h.call() as client:
        await client.configure()
        await client.send("response.create")
        item_id = (await client.until("response.output_audio.delta"))["item_id"]
        await client.send("conversation.item.delete", item_id=item_id)
        await client.until("conversation.item.deleted")
        await client.send("response.cancel")
        await client.until("response.done")
        assert "conversation.item.done" not in client.types()
