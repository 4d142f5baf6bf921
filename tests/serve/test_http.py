"""Bodies into objects, whatever characters are in them."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giantkiller.serve.calls import in_camel_case
from giantkiller.serve.http import BadJsonError, decode


class Body(msgspec.Struct):
    text: str


DECODER = msgspec.json.Decoder(Body)
HALVES = st.characters(categories=("Cs", "Ll", "So")) | st.sampled_from(
    ["\\", '"', "\n", "u", "\\ud83d", "\0"]
)


@given(st.lists(HALVES, max_size=12))
def test_lone_surrogates_are_replaced_and_pairs_are_not(parts):
    text = "".join(parts)
    expected = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert decode(json.dumps({"text": text}).encode(), DECODER).text == expected


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'\xef\xbb\xbf{"text": "a"}', "a"),
        (rb'{"text": "\\ud800"}', "\\ud800"),  # an escaped backslash, and four characters
        (rb'{"text": "\\\uD800"}', "\\\ufffd"),
        (rb'{"text": "\\ud83d\ude00"}', "\\ud83d\ufffd"),  # which looks like a pair
        (rb'{"\ud800": 1, "text": "a"}', "a"),
        (rb'{"text": "a", "more": ["\udfff", {"\ud800": null}]}', "a"),
    ],
)
def test_what_other_encoders_let_pass(body, text):
    assert decode(body, DECODER).text == text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b'{"text": "a"', "not valid JSON"),
        (b'{"text": "\xff"}', "not valid UTF-8"),
        (rb'{"text": "\ud800}', "not valid JSON"),
        (rb'{"text": ["\ud800"]}', "Expected str, got array"),
        (b'{"text": NaN}', "not valid JSON"),
        (b'{"x": ' + b"[" * 100_000, "nested too deeply"),
        (rb'{"x": "\ud800", "y": ' + b"[" * 100_000, "nested too deeply"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_wrong_is_said(body, said):
    with pytest.raises(BadJsonError, match=said):
        decode(body, DECODER)


@pytest.mark.parametrize(
    ("body", "camel"),
    [
        (b'{"requested_attributes": {"A_B": {}}}', b'{"requestedAttributes": {"A_B": {}}}'),
        (b'{"a":{"b":{"score_type": "x"}}}', b'{"a":{"b":{"scoreType": "x"}}}'),
        (b'{"do_not_store"\n:true}', b'{"doNotStore"\n:true}'),
        (b'{"client_token":"client_token"}', b'{"clientToken":"client_token"}'),
        (rb'{"text":"a\\","client_token":"t"}', rb'{"text":"a\\","clientToken":"t"}'),
        (rb'{"text":"say \"client_token\": 1"}', None),
        (b'{"text":"_ client_token : requested_attributes"}', None),
        (b'{"my_client_token": 1, "client_tokens": 2}', None),
    ],
)
def test_fields_in_snake_case_and_nothing_else(body, camel):
    assert in_camel_case(body) == (camel or body)
