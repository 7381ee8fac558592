// Drives the official OpenAI SDK for JavaScript as a program of a user would, and prints what it saw as one JSON object.
//
// `node openai_sdk.cjs CASE...` with OPENAI_BASE_URL and OPENAI_API_KEY in the environment. `openai_sdk.py` has the same
// cases. It checks nothing: the test that starts it does.

const OpenAI = require("openai");
const { zodResponseFormat, zodTextFormat } = require("openai/helpers/zod");
const { z } = require("zod");

const model = "gpt-5.5";
const PICTURE =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const parameters = {
  type: "object",
  properties: { a: { type: "integer" }, b: { type: "integer" } },
  required: ["a", "b"],
  additionalProperties: false,
};
const ADD = { type: "function", name: "add", description: "Adds.", strict: true, parameters };
const CHAT_ADD = { type: "function", function: { name: "add", description: "Adds.", strict: true, parameters } };
const CALL = 'call add {"a": 19, "b": 23}';
const Station = z.object({ name: z.string(), tracks: z.number().int() });
const STATION = 'repeat after me: {"name": "Altona", "tracks": 12}';

const user = (content) => [{ role: "user", content }];
const add = (numbers) => String(numbers.a + numbers.b);
const called = (name, text) => ({ name, arguments: JSON.parse(text) });

/** Whatever the call throws, as the SDK tells it, and what it had got until then. */
async function failing(call) {
  const got = [];
  try {
    await call(got);
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    const { status = null, code = null, param = null, type = null, message, headers } = error;
    const name = error.constructor.name;
    return { class: name, status, code, param, type, message, retry_after: headers?.get("retry-after"), got: got.length };
  }
  return { class: null, got: got.length };
}

async function chat(client, got, more) {
  const asked = { model, messages: user("hello"), stream: true, ...more };
  for await (const chunk of await client.chat.completions.create(asked)) {
    got.push(...chunk.choices.filter((choice) => choice.delta.content));
  }
}

const CASES = {
  async chat_whole(client) {
    const messages = [{ role: "system", content: "Be brief." }, ...user("hello whole")];
    const answer = await client.chat.completions.create({ model, messages });
    const [choice] = answer.choices;
    return {
      text: choice.message.content,
      finish: choice.finish_reason,
      model: answer.model,
      prompt_tokens: answer.usage.prompt_tokens,
      total_tokens: answer.usage.total_tokens,
    };
  },

  async chat_stream(client) {
    const pieces = [];
    let finish = null;
    let usage = null;
    const asked = { model, messages: user("hello stream"), stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await client.chat.completions.create(asked)) {
      for (const choice of chunk.choices) {
        if (choice.delta.content) pieces.push(choice.delta.content);
        finish = choice.finish_reason ?? finish;
      }
      usage = chunk.usage ?? usage;
    }
    return { text: pieces.join(""), pieces: pieces.length, finish, total_tokens: usage?.total_tokens };
  },

  async chat_helper(client) {
    const final = await client.chat.completions.stream({ model, messages: user("hello helper") }).finalChatCompletion();
    return { text: final.choices[0].message.content, finish: final.choices[0].finish_reason };
  },

  /** The SDK carries the call out and goes on by itself. */
  async chat_tool(client) {
    const calls = [];
    const run = (numbers) => {
      calls.push({ name: "add", arguments: numbers });
      return add(numbers);
    };
    const tools = [{ type: "function", function: { ...CHAT_ADD.function, parse: JSON.parse, function: run } }];
    const runner = client.chat.completions.runTools({ model, messages: user(CALL), tools, stream: true });
    let finish = null;
    runner.on("chatCompletion", (completion) => (finish ??= completion.choices[0].finish_reason));
    return { text: await runner.finalContent(), calls, finish };
  },

  async chat_structured(client) {
    const response_format = zodResponseFormat(Station, "station");
    const answer = await client.chat.completions.parse({ model, messages: user(STATION), response_format });
    return answer.choices[0].message.parsed;
  },

  async chat_image(client) {
    const parts = [
      { type: "image_url", image_url: { url: PICTURE, detail: "low" } },
      { type: "text", text: "hello picture" },
    ];
    const answer = await client.chat.completions.create({ model, messages: user(parts) });
    return { text: answer.choices[0].message.content, picture: PICTURE };
  },

  async responses_whole(client) {
    const answer = await client.responses.create({ model, input: "hello whole", instructions: "Be brief." });
    return {
      text: answer.output_text,
      status: answer.status,
      model: answer.model,
      total_tokens: answer.usage.total_tokens,
    };
  },

  async responses_stream(client) {
    const types = [];
    let text = "";
    for await (const event of await client.responses.create({ model, input: "hello stream", stream: true })) {
      types.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    return { types, text };
  },

  async responses_helper(client) {
    const final = await client.responses.stream({ model, input: "hello helper" }).finalResponse();
    return { text: final.output_text, status: final.status };
  },

  async responses_tool(client) {
    const history = user(CALL);
    const first = await client.responses.create({ model, input: history, tools: [ADD] });
    history.push(...first.output);
    const calls = first.output.filter((item) => item.type === "function_call");
    for (const { call_id, arguments: text } of calls) {
      history.push({ type: "function_call_output", call_id, output: add(JSON.parse(text)) });
    }
    const second = await client.responses.create({ model, input: history, tools: [ADD] });
    return { calls: calls.map((call) => called(call.name, call.arguments)), text: second.output_text };
  },

  async responses_structured(client) {
    const text = { format: zodTextFormat(Station, "station") };
    return (await client.responses.parse({ model, input: STATION, text })).output_parsed;
  },

  async responses_image(client) {
    const parts = [
      { type: "input_image", image_url: PICTURE, detail: "low" },
      { type: "input_text", text: "hello picture" },
    ];
    const answer = await client.responses.create({ model, input: user(parts) });
    return { text: answer.output_text, picture: PICTURE };
  },

  async models(client) {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    return { ids, one: (await client.models.retrieve(model)).id };
  },

  unknown_model: (client) => failing((got) => chat(client, got, { model: "no-such-model" })),
  bad_request: (client) => failing((got) => chat(client, got, { messages: 42 })),
  refused: (client) => failing((got) => chat(client, got)),
  cut_chat: (client) => failing((got) => chat(client, got, { messages: user("stream 40 events") })),
  cut_whole: (client) =>
    failing(() => client.chat.completions.create({ model, messages: user("stream 40 events") })),

  /** The raw events: this SDK's accumulator hands out a failed answer as an empty one. */
  async cut_responses(client) {
    const types = [];
    let code = null;
    for await (const event of await client.responses.create({ model, input: "stream 40 events", stream: true })) {
      types.push(event.type);
      if (event.type === "response.failed") code = event.response.error.code;
    }
    return { types, code };
  },

  async patient(client) {
    const begun = performance.now();
    const answer = await client
      .withOptions({ maxRetries: 2 })
      .chat.completions.create({ model, messages: user("hello patience") });
    return { text: answer.choices[0].message.content, seconds: (performance.now() - begun) / 1000 };
  },
};

(async () => {
  // Without the SDK's own retries a test sees every answer as it is.
  const client = new OpenAI({ maxRetries: 0, timeout: 30_000 });
  const said = {};
  for (const name of process.argv.slice(2)) said[name] = await CASES[name](client);
  console.log(JSON.stringify(said));
})();
