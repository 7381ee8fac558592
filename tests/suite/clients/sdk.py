"""Drives the official SDK as a program of a user would, and prints what it saw as one JSON object.

`sdk.py CASE` with OPENAI_BASE_URL and OPENAI_API_KEY in the environment. It checks nothing: the test that starts it does.
"""

import json
import sys
import time

import openai

MODEL = "gpt-5.5"
ADD = {
    "type": "function",
    "name": "add",
    "description": "Adds two numbers.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
}


def stream(client):
    """A streamed turn: every event, the text put together, the final response."""
    types, text, final = [], "", None
    for event in client.responses.create(model=MODEL, input="hello stream", stream=True):
        types.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            final = event.response
    return {"types": types, "text": text, "final": final.output_text, "usage": final.usage.model_dump()}


def helper(client):
    """The same through the SDK's own accumulator, which is strict about the order of events."""
    with client.responses.stream(model=MODEL, input="hello helper") as events:
        types = [event.type for event in events]
        final = events.get_final_response()
    return {"types": types, "final": final.output_text, "status": final.status}


def whole(client):
    """A turn without a stream."""
    response = client.responses.create(model=MODEL, input="hello whole", instructions="Be brief.")
    return {
        "text": response.output_text,
        "status": response.status,
        "model": response.model,
        "output": [item.type for item in response.output],
        "usage": response.usage.model_dump(),
    }


def tool(client):
    """A tool call, carried out here, and its result sent back with the history; then one more question."""
    history = [{"role": "user", "content": 'call add {"a": 19, "b": 23}'}]
    first = client.responses.create(model=MODEL, input=history, tools=[ADD])
    history += first.output
    calls = [item for item in first.output if item.type == "function_call"]
    for call in calls:
        arguments = json.loads(call.arguments)
        result = str(arguments["a"] + arguments["b"])
        history.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    second = client.responses.create(model=MODEL, input=history, tools=[ADD])
    history += second.output
    history.append({"role": "user", "content": "thank you"})
    third = client.responses.create(model=MODEL, input=history, tools=[ADD])
    return {
        "calls": [{"name": call.name, "arguments": json.loads(call.arguments)} for call in calls],
        "second": second.output_text,
        "third": third.output_text,
    }


def models(client):
    """The model list."""
    return {"ids": [model.id for model in client.models.list()]}


def failing(call):
    """Whatever the call raises, as the SDK tells it."""
    begun = time.monotonic()
    try:
        call()
    except openai.APIStatusError as error:
        raised = {
            "class": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "param": error.param,
            "type": error.type,
            "message": error.message,
            "request_id": error.request_id,
            "retry_after": error.response.headers.get("retry-after"),
        }
    except openai.APIError as error:
        raised = {"class": type(error).__name__, "code": error.code, "message": error.message}
    else:
        raised = {"class": None}
    return raised | {"seconds": time.monotonic() - begun}


def unknown_model(client):
    return failing(lambda: client.responses.create(model="no-such-model", input="hello"))


def bad_request(client):
    return failing(lambda: client.responses.create(model=MODEL, input=42))


def unknown_route(client):
    return failing(lambda: client.embeddings.create(model=MODEL, input="hello"))


def refused(client):
    """A plain turn that the test made fail."""
    return failing(lambda: client.responses.create(model=MODEL, input="hello"))


def patient(client):
    """A plain turn with the SDK's own retries."""
    begun = time.monotonic()
    response = client.with_options(max_retries=2).responses.create(model=MODEL, input="hello patience")
    return {"text": response.output_text, "seconds": time.monotonic() - begun}


def broken_stream(client):
    """A streamed turn that breaks: the events, and the error of the last one."""
    types, code = [], None
    for event in client.responses.create(model=MODEL, input="hello stream", stream=True):
        types.append(event.type)
        if event.type == "response.failed":
            code = event.response.error.code
    return {"types": types, "code": code}


CASES = [stream, helper, whole, tool, models, unknown_model, bad_request, unknown_route, refused, patient, broken_stream]

if __name__ == "__main__":
    case = {case.__name__: case for case in CASES}[sys.argv[1]]
    # Without the SDK's own retries a test sees every answer as it is.
    print(json.dumps(case(openai.OpenAI(max_retries=0, timeout=30))))
