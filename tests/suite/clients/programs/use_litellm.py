"""Drives LiteLLM as a program of a user would, with its `openai/` and `anthropic/` prefixes pointed at the gateway, and
prints what it saw as one JSON object.

`use_litellm.py CASE...` with OPENAI_BASE_URL, ANTHROPIC_BASE_URL, OPENAI_API_KEY and MODEL in the environment. It checks
nothing: the test that starts it does.
"""

import json
import os
import sys

# Else it fetches its list of prices while it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402

litellm.suppress_debug_info = True

KEY = os.environ["OPENAI_API_KEY"]
MODEL = os.environ["MODEL"]
PREFIXES = {"openai": os.environ["OPENAI_BASE_URL"], "anthropic": os.environ["ANTHROPIC_BASE_URL"]}
PARAMETERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
ADD = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": PARAMETERS}}


def asked(prefix, messages, **more):
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    at = {"model": f"{prefix}/{MODEL}", "api_base": PREFIXES[prefix], "api_key": KEY}
    return at | {"messages": messages, "num_retries": 0, "max_retries": 0, "timeout": 30} | more


def whole(prefix):
    answer = litellm.completion(**asked(prefix, "hello whole"))
    choice = answer.choices[0]
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "total_tokens": answer.usage.total_tokens,
    }


def stream(prefix):
    pieces, finish = [], None
    for chunk in litellm.completion(**asked(prefix, "hello stream"), stream=True):
        if chunk.choices[0].delta.content:
            pieces.append(chunk.choices[0].delta.content)
        finish = chunk.choices[0].finish_reason or finish
    return {"text": "".join(pieces), "pieces": len(pieces), "finish": finish}


def tool(prefix):
    messages = [{"role": "user", "content": 'call add {"a": 19, "b": 23}'}]
    first = litellm.completion(**asked(prefix, messages, tools=[ADD])).choices[0]
    messages.append(first.message.model_dump())
    calls = []
    for call in first.message.tool_calls:
        arguments = json.loads(call.function.arguments)
        calls.append({"name": call.function.name, "arguments": arguments})
        result = str(arguments["a"] + arguments["b"])
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    second = litellm.completion(**asked(prefix, messages, tools=[ADD])).choices[0]
    return {"calls": calls, "finish": first.finish_reason, "text": second.message.content}


def failing(call):
    """Whatever the call raises, as LiteLLM tells it, and what it had got until then."""
    got = []
    try:
        call(got)
    except Exception as error:  # noqa: BLE001: which one is the question
        raised = {"class": type(error).__name__, "status": getattr(error, "status_code", None), "message": str(error)}
    else:
        raised = {"class": None}
    return raised | {"got": len(got)}


def cut(prefix):
    """A stream that the test broke."""

    def read(got):
        for chunk in litellm.completion(**asked(prefix, "stream 40 events"), stream=True):
            got += [piece for piece in [chunk.choices[0].delta.content] if piece]

    return failing(read)


def refused(prefix):
    return failing(lambda got: whole(prefix))


def unknown_model(prefix):
    return failing(lambda got: litellm.completion(**asked(prefix, "hello", model=f"{prefix}/no-such-model")))


if __name__ == "__main__":
    print(json.dumps({case: {prefix: globals()[case](prefix) for prefix in PREFIXES} for case in sys.argv[1:]}))
