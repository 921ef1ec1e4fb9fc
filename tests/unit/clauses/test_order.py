"""ORDER BY: columns and constants only, and safe SQL of them."""

import pytest

from medley.clauses.order import order_by
from medley.clauses.refusal import Refusal

COLUMNS = ("id", "title", "Odd Name", 'qu"ote', "order", "äß")

READ = {
    "id": '"t"."id"',
    "ID desc": '"t"."id" DESC',
    '"id" ASC nulls first': '"t"."id" ASC NULLS FIRST',
    "title NULLS LAST, id DESC": '"t"."title" NULLS LAST, "t"."id" DESC',
    't.id, "t"."title"': '"t"."id", "t"."title"',
    '"Odd Name", "qu""ote" DESC': '"t"."Odd Name", "t"."qu""ote" DESC',
    "order": '"t"."order"',
    "äß": '"t"."äß"',
    "1": "",
    "1, id, 'x' DESC, null": '"t"."id"',
    "id -- by number": '"t"."id"',
}


@pytest.mark.parametrize("text", READ)
def test_it_is_read(text: str) -> None:
    assert order_by(text, "t", COLUMNS) == READ[text]


REFUSED = {
    "secret": "At location 0: unknown reference secret",
    "id, t.secret": "At location 4: unknown reference t.secret",
    "other.id": "At location 0: unknown reference other.id",
    '"ID"': "At location 0: unknown reference ID",
    "lower(title)": "At location 0: unknown reference lower",
    "title COLLATE x": 'At location 6: unexpected "COLLATE": only columns order a subset',
    "id + 1": 'At location 3: unexpected "+": only columns order a subset',
    "id USING <": 'At location 3: unexpected "USING": only columns order a subset',
    "(select 1)": 'At location 0: unexpected "(": only columns order a subset',
    "id; DROP TABLE t": 'At location 2: unexpected ";"',
    "id) --": 'At location 2: unexpected ")"',
    "id,": "At location 3: unexpected end, where a column should be",
    "id NULLS": "At location 8: unexpected end, where a column should be",
    "id DESC ASC": 'At location 8: unexpected "ASC": only columns order a subset',
    "$1": 'At location 0: unexpected "$1": only columns order a subset',
    "id LIMIT 1": 'At location 3: unexpected "LIMIT": only columns order a subset',
    "t.*": 'At location 2: unexpected "*": only columns order a subset',
    'U&"id"': 'At location 0: unexpected "U&"id"": only columns order a subset',
    "": "can't be blank",
}


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(Refusal) as found:
        order_by(text, "t", COLUMNS)
    assert (found.value.field, found.value.text) == ("order_by", REFUSED[text])
