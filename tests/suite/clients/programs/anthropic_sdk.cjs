// Drives the official Anthropic SDK for JavaScript as a program of a user would, and prints what it saw as one JSON object.
//
// `node anthropic_sdk.cjs CASE...` with ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY and MODEL in the environment.
// `anthropic_sdk.py` has the same cases. It checks nothing: the test that starts it does.

const Anthropic = require("@anthropic-ai/sdk");

const model = process.env.MODEL;
const PICTURE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const ADD = {
  name: "add",
  description: "Adds.",
  input_schema: {
    type: "object",
    properties: { a: { type: "integer" }, b: { type: "integer" } },
    required: ["a", "b"],
    additionalProperties: false,
  },
};
const STATION = {
  type: "object",
  properties: { name: { type: "string" }, tracks: { type: "integer" } },
  required: ["name", "tracks"],
  additionalProperties: false,
};

const asking = (content, more) => ({ model, max_tokens: 500, messages: [{ role: "user", content }], ...more });
const textOf = (message) => message.content.map((block) => (block.type === "text" ? block.text : "")).join("");

/** Whatever the call throws, as the SDK tells it, and what it had got until then. */
async function failing(call) {
  const got = [];
  try {
    await call(got);
  } catch (error) {
    if (!(error instanceof Anthropic.AnthropicError)) throw error;
    const { status = null, message, headers } = error;
    const type = error.error?.error?.type ?? null;
    const name = error.constructor.name;
    return { class: name, status, type, message, retry_after: headers?.get("retry-after") ?? null, got: got.length };
  }
  return { class: null, got: got.length };
}

async function read(client, got, asked) {
  for await (const event of await client.messages.create({ ...asked, stream: true })) {
    if (event.type === "content_block_delta") got.push(event);
  }
}

const CASES = {
  async whole(client) {
    const message = await client.messages.create(asking("hello whole", { system: "Be brief." }));
    return {
      text: textOf(message),
      stop: message.stop_reason,
      model: message.model,
      input_tokens: message.usage.input_tokens,
      output_tokens: message.usage.output_tokens,
    };
  },

  /** The raw events. */
  async stream(client) {
    const types = [];
    let text = "";
    for await (const event of await client.messages.create(asking("hello stream", { stream: true }))) {
      types.push(event.type);
      if (event.delta?.type === "text_delta") text += event.delta.text;
    }
    return { types, text };
  },

  /** The SDK's own accumulator. */
  async helper(client) {
    let pieces = 0;
    const stream = client.messages.stream(asking("hello helper")).on("text", () => (pieces += 1));
    const final = await stream.finalMessage();
    return { text: textOf(final), pieces, stop: final.stop_reason };
  },

  /** A call that is streamed, carried out here, and answered. */
  async tool(client) {
    const thinking = { type: "enabled", budget_tokens: 1024 };
    const asked = asking('call add {"a": 19, "b": 23}', { tools: [ADD], thinking, max_tokens: 4000 });
    const first = await client.messages.stream(asked).finalMessage();
    const calls = first.content.filter((block) => block.type === "tool_use");
    const results = calls.map(({ id, input }) => ({
      type: "tool_result",
      tool_use_id: id,
      content: String(input.a + input.b),
    }));
    asked.messages.push({ role: "assistant", content: first.content }, { role: "user", content: results });
    const second = await client.messages.create(asked);
    return {
      stop: first.stop_reason,
      calls: calls.map((call) => ({ name: call.name, arguments: call.input })),
      text: textOf(second),
    };
  },

  async structured(client) {
    const asked = asking('repeat after me: {"name": "Altona", "tracks": 12}');
    const output_config = { format: { type: "json_schema", schema: STATION } };
    return JSON.parse(textOf(await client.messages.create({ ...asked, output_config })));
  },

  async image(client) {
    const source = { type: "base64", media_type: "image/png", data: PICTURE };
    const parts = [
      { type: "image", source },
      { type: "text", text: "hello picture" },
    ];
    return { text: textOf(await client.messages.create(asking(parts))), picture: PICTURE };
  },

  async count(client) {
    const counted = async (content) =>
      (await client.messages.countTokens({ model, messages: [{ role: "user", content }] })).input_tokens;
    return { short: await counted("hello"), long: await counted("hello ".repeat(400)) };
  },

  async models(client) {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    return { ids };
  },

  unknown_model: (client) => failing((got) => read(client, got, asking("hello", { model: "no-such-model" }))),
  bad_request: (client) => failing((got) => read(client, got, asking("hello", { max_tokens: -1 }))),
  refused: (client) => failing((got) => read(client, got, asking("hello"))),
  cut_stream: (client) => failing((got) => read(client, got, asking("stream 40 events"))),
  cut_whole: (client) => failing(() => client.messages.create(asking("stream 40 events"))),

  async patient(client) {
    const begun = performance.now();
    const message = await client.withOptions({ maxRetries: 2 }).messages.create(asking("hello patience"));
    return { text: textOf(message), seconds: (performance.now() - begun) / 1000 };
  },
};

(async () => {
  // Without the SDK's own retries a test sees every answer as it is.
  const client = new Anthropic({ maxRetries: 0, timeout: 30_000 });
  const said = {};
  for (const name of process.argv.slice(2)) said[name] = await CASES[name](client);
  console.log(JSON.stringify(said));
})();
