"""Drives the official Anthropic SDK as a program of a user would, and prints what it saw as one JSON object.

`anthropic_sdk.py CASE...` with ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY and MODEL in the environment. `anthropic_sdk.cjs` has
the same cases. It checks nothing: the test that starts it does.
"""

import json
import os
import sys
import time

import anthropic

MODEL = os.environ["MODEL"]
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
ADD = {"name": "add", "description": "Adds.", "input_schema": SCHEMA}
STATION = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "tracks": {"type": "integer"}},
    "required": ["name", "tracks"],
    "additionalProperties": False,
}


def asking(content, **more):
    return {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": content}]} | more


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def whole(client):
    message = client.messages.create(**asking("hello whole", system="Be brief."))
    return {
        "text": text_of(message),
        "stop": message.stop_reason,
        "model": message.model,
        "input_tokens": message.usage.input_tokens,
        "output_tokens": message.usage.output_tokens,
    }


def stream(client):
    """The raw events."""
    types, text = [], ""
    for event in client.messages.create(**asking("hello stream"), stream=True):
        types.append(event.type)
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            text += event.delta.text
    return {"types": types, "text": text}


def helper(client):
    """The SDK's own accumulator."""
    with client.messages.stream(**asking("hello helper")) as events:
        pieces = list(events.text_stream)
        final = events.get_final_message()
    return {"text": text_of(final), "pieces": len(pieces), "stop": final.stop_reason}


def tool(client):
    """A call that is streamed, carried out here, and answered."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked = asking('call add {"a": 19, "b": 23}', tools=[ADD], thinking=thinking, max_tokens=4000)
    with client.messages.stream(**asked) as events:
        first = events.get_final_message()
    calls = [block for block in first.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": str(call.input["a"] + call.input["b"])}
        for call in calls
    ]
    asked["messages"] += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = client.messages.create(**asked)
    return {
        "stop": first.stop_reason,
        "calls": [{"name": call.name, "arguments": call.input} for call in calls],
        "text": text_of(second),
    }


def structured(client):
    asked = asking('repeat after me: {"name": "Altona", "tracks": 12}')
    format = {"type": "json_schema", "schema": STATION}
    return json.loads(text_of(client.messages.create(**asked, output_config={"format": format})))


def image(client):
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "hello picture"}]
    return {"text": text_of(client.messages.create(**asking(parts))), "picture": PICTURE}


def count(client):
    def counted(text):
        asked = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
        return client.messages.count_tokens(**asked).input_tokens

    return {"short": counted("hello"), "long": counted("hello " * 400)}


def models(client):
    return {"ids": [model.id for model in client.models.list()]}


def failing(call):
    """Whatever the call raises, as the SDK tells it, and what it had got until then."""
    got = []
    try:
        call(got)
    except anthropic.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        raised = {
            "class": type(error).__name__,
            "status": error.status_code,
            "type": body.get("error", {}).get("type"),
            "message": str(error),
            "retry_after": error.response.headers.get("retry-after"),
        }
    except anthropic.AnthropicError as error:
        raised = {"class": type(error).__name__, "message": str(error)}
    else:
        raised = {"class": None}
    return raised | {"got": len(got)}


def read(client, got, asked):
    for event in client.messages.create(**asked, stream=True):
        if event.type == "content_block_delta":
            got.append(event)


def unknown_model(client):
    return failing(lambda got: read(client, got, asking("hello", model="no-such-model")))


def bad_request(client):
    return failing(lambda got: read(client, got, asking("hello", max_tokens=-1)))


def refused(client):
    return failing(lambda got: read(client, got, asking("hello")))


def cut_stream(client):
    """A stream that the test broke."""
    return failing(lambda got: read(client, got, asking("stream 40 events")))


def cut_whole(client):
    return failing(lambda got: client.messages.create(**asking("stream 40 events")))


def patient(client):
    """A plain turn with the SDK's own retries."""
    begun = time.monotonic()
    message = client.with_options(max_retries=2).messages.create(**asking("hello patience"))
    return {"text": text_of(message), "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    # Without the SDK's own retries a test sees every answer as it is.
    sdk = anthropic.Anthropic(max_retries=0, timeout=30)
    print(json.dumps({case: globals()[case](sdk) for case in sys.argv[1:]}))
