"""Drives the official OpenAI SDK as a program of a user would, and prints what it saw as one JSON object.

`openai_sdk.py CASE...` with OPENAI_BASE_URL and OPENAI_API_KEY in the environment. `openai_sdk.cjs` has the same cases.
It checks nothing: the test that starts it does.
"""

import json
import sys
import time

import openai
from pydantic import BaseModel

MODEL = "gpt-5.5"
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PARAMETERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
ADD = {"type": "function", "name": "add", "description": "Adds.", "strict": True, "parameters": PARAMETERS}
CHAT_ADD = {"type": "function", "function": {k: v for k, v in ADD.items() if k != "type"}}
CALL = 'call add {"a": 19, "b": 23}'


class Station(BaseModel):
    name: str
    tracks: int


def user(text):
    return [{"role": "user", "content": text}]


def add(arguments):
    numbers = json.loads(arguments)
    return str(numbers["a"] + numbers["b"])


def chat_whole(client):
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "system", "content": "Be brief."}, *user("hello whole")]
    )
    choice = answer.choices[0]
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "model": answer.model,
        "prompt_tokens": answer.usage.prompt_tokens,
        "total_tokens": answer.usage.total_tokens,
    }


def chat_stream(client):
    """The raw chunks."""
    pieces, finish, usage = [], None, None
    for chunk in client.chat.completions.create(
        model=MODEL, messages=user("hello stream"), stream=True, stream_options={"include_usage": True}
    ):
        for choice in chunk.choices:
            if choice.delta.content:
                pieces.append(choice.delta.content)
            finish = choice.finish_reason or finish
        usage = chunk.usage or usage
    return {
        "text": "".join(pieces),
        "pieces": len(pieces),
        "finish": finish,
        "total_tokens": usage.total_tokens if usage else None,
    }


def chat_helper(client):
    """The SDK's own accumulator."""
    with client.chat.completions.stream(model=MODEL, messages=user("hello helper")) as events:
        for _ in events:
            pass
        final = events.get_final_completion()
    return {"text": final.choices[0].message.content, "finish": final.choices[0].finish_reason}


def chat_tool(client):
    """A call that is streamed, carried out here, and answered."""
    messages = user(CALL)
    with client.chat.completions.stream(model=MODEL, messages=messages, tools=[CHAT_ADD]) as events:
        for _ in events:
            pass
        first = events.get_final_completion().choices[0]
    calls = first.message.tool_calls
    messages.append(
        {
            "role": "assistant",
            "content": first.message.content,
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
                for call in calls
            ],
        }
    )
    for call in calls:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": add(call.function.arguments)})
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=[CHAT_ADD])
    return {
        "finish": first.finish_reason,
        "calls": [{"name": c.function.name, "arguments": json.loads(c.function.arguments)} for c in calls],
        "text": second.choices[0].message.content,
    }


def chat_structured(client):
    """The SDK makes the schema and reads the answer with it."""
    asked = user('repeat after me: {"name": "Altona", "tracks": 12}')
    parsed = client.chat.completions.parse(model=MODEL, messages=asked, response_format=Station)
    return parsed.choices[0].message.parsed.model_dump()


def chat_image(client):
    parts = [
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
        {"type": "text", "text": "hello picture"},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=user(parts))
    return {"text": answer.choices[0].message.content, "picture": PICTURE}


def responses_whole(client):
    response = client.responses.create(model=MODEL, input="hello whole", instructions="Be brief.")
    return {
        "text": response.output_text,
        "status": response.status,
        "model": response.model,
        "total_tokens": response.usage.total_tokens,
    }


def responses_stream(client):
    """The raw events."""
    types, text = [], ""
    for event in client.responses.create(model=MODEL, input="hello stream", stream=True):
        types.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
    return {"types": types, "text": text}


def responses_helper(client):
    """The SDK's own accumulator, which is strict about the order of events."""
    with client.responses.stream(model=MODEL, input="hello helper") as events:
        for _ in events:
            pass
        final = events.get_final_response()
    return {"text": final.output_text, "status": final.status}


def responses_tool(client):
    history = user(CALL)
    first = client.responses.create(model=MODEL, input=history, tools=[ADD])
    history += first.output
    calls = [item for item in first.output if item.type == "function_call"]
    for call in calls:
        history.append({"type": "function_call_output", "call_id": call.call_id, "output": add(call.arguments)})
    second = client.responses.create(model=MODEL, input=history, tools=[ADD])
    return {
        "calls": [{"name": call.name, "arguments": json.loads(call.arguments)} for call in calls],
        "text": second.output_text,
    }


def responses_structured(client):
    asked = 'repeat after me: {"name": "Altona", "tracks": 12}'
    return client.responses.parse(model=MODEL, input=asked, text_format=Station).output_parsed.model_dump()


def responses_image(client):
    parts = [
        {"type": "input_image", "image_url": PICTURE, "detail": "low"},
        {"type": "input_text", "text": "hello picture"},
    ]
    return {"text": client.responses.create(model=MODEL, input=user(parts)).output_text, "picture": PICTURE}


def models(client):
    return {"ids": [model.id for model in client.models.list()], "one": client.models.retrieve(MODEL).id}


def failing(call):
    """Whatever the call raises, as the SDK tells it, and what it had got until then."""
    got = []
    try:
        call(got)
    except openai.APIStatusError as error:
        raised = {
            "class": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "param": error.param,
            "type": error.type,
            "message": error.message,
            "retry_after": error.response.headers.get("retry-after"),
        }
    except openai.APIError as error:
        raised = {"class": type(error).__name__, "code": error.code, "message": error.message}
    else:
        raised = {"class": None}
    return raised | {"got": len(got)}


def chat(client, got, **more):
    for chunk in client.chat.completions.create(**{"model": MODEL, "messages": user("hello"), "stream": True} | more):
        got += [choice for choice in chunk.choices if choice.delta.content]


def unknown_model(client):
    return failing(lambda got: chat(client, got, model="no-such-model"))


def bad_request(client):
    return failing(lambda got: chat(client, got, messages=42))


def refused(client):
    return failing(lambda got: chat(client, got))


def cut_chat(client):
    """A stream that the test broke."""
    return failing(lambda got: chat(client, got, messages=user("stream 40 events")))


def cut_whole(client):
    """The same for an answer in one piece."""
    asked = user("stream 40 events")
    return failing(lambda got: client.chat.completions.create(model=MODEL, messages=asked))


def cut_responses(client):
    """The SDK's accumulator must not take half an answer for one."""
    try:
        with client.responses.stream(model=MODEL, input="stream 40 events") as events:
            seen = [event.type for event in events]
            final = events.get_final_response()
    except Exception as error:  # noqa: BLE001: which one is the question
        return {"raised": type(error).__name__}
    return {"raised": None, "types": seen, "status": final.status}


def patient(client):
    """A plain turn with the SDK's own retries."""
    begun = time.monotonic()
    client = client.with_options(max_retries=2)
    answer = client.chat.completions.create(model=MODEL, messages=user("hello patience"))
    return {"text": answer.choices[0].message.content, "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    # Without the SDK's own retries a test sees every answer as it is.
    sdk = openai.OpenAI(max_retries=0, timeout=30)
    print(json.dumps({case: globals()[case](sdk) for case in sys.argv[1:]}))
