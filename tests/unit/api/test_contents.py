"""Chunks of a log: where they are cut, where they lead, and the same as server-sent events (protocol 1.3 and 1.6)."""

import orjson
import pytest

from medley.contracts.offsets import SNAPSHOT_END, Offset
from services.api.shape.contents import Chunk, events, joined
from services.api.shape.store import Piece

END = Offset(11, 4)


def entry(tx: int, op: int) -> dict[str, object]:
    return {"key": "k", "headers": {"lsn": str(tx), "op_position": op}}


PIECES = [
    Piece(1, SNAPSHOT_END, Offset(10, 2), True, orjson.dumps([entry(10, 0), entry(10, 2)])),
    Piece(2, Offset(10, 2), END, True, orjson.dumps([entry(11, 0), entry(11, 2), entry(11, 4)])),
]
ALL = [entry(10, 0), entry(10, 2), entry(11, 0), entry(11, 2), entry(11, 4)]
SIZE = len(orjson.dumps(entry(10, 0)))


def offset_of(message: dict[str, dict[str, str]]) -> Offset:
    return Offset(int(message["headers"]["lsn"]), int(message["headers"]["op_position"]))


def test_at_the_end_it_says_up_to_date_with_its_own_last_transaction() -> None:
    chunk = joined(PIECES, SNAPSHOT_END, END, 10_000)
    *messages, control = orjson.loads(chunk.body)
    assert messages == ALL
    assert control == {"headers": {"control": "up-to-date", "global_last_seen_lsn": "11"}}
    assert (chunk.reached, chunk.at_end, chunk.has_data) == (END, True, True)


@pytest.mark.parametrize("limit", [1, SIZE, SIZE + 1, 2 * SIZE, 3 * SIZE, 4 * SIZE + 3, 100 * SIZE])
def test_chunks_of_any_size_hold_every_entry_once(limit: int) -> None:
    offset, found, chunks = SNAPSHOT_END, [], []
    while offset < END:
        left = [piece for piece in PIECES if piece.offset > offset]
        chunk = joined(left, offset, END, limit)
        messages = [message for message in orjson.loads(chunk.body) if "key" in message]
        assert chunk.reached == offset_of(messages[-1])
        assert chunk.at_end == (chunk.reached == END)
        found += messages
        chunks.append(messages)
        offset = chunk.reached
    assert found == ALL
    for messages in chunks:
        before_last = sum(len(orjson.dumps(message)) + 1 for message in messages[:-1])
        assert before_last < limit, "the entry that makes it as large closes it"
    for messages in chunks[:-1]:
        assert sum(len(orjson.dumps(message)) + 1 for message in messages) >= limit


def test_an_offset_inside_a_piece_splits_it() -> None:
    chunk = joined(PIECES, Offset(10, 0), END, 10_000)
    assert [message for message in orjson.loads(chunk.body) if "key" in message] == ALL[1:]


def test_an_offset_made_of_a_whole_transaction_passes_all_of_it() -> None:
    chunk = joined(PIECES[1:], Offset(10, 2**62), END, 10_000)
    assert [message for message in orjson.loads(chunk.body) if "key" in message] == ALL[2:]


def test_events_are_one_message_each() -> None:
    chunk = Chunk(b'[{"value":{"a":"line\\nend"}},{"headers":{"control":"up-to-date"}}]', END, True, True)
    assert events(chunk) == (b'data: {"value":{"a":"line\\nend"}}\n\ndata: {"headers":{"control":"up-to-date"}}\n\n')
