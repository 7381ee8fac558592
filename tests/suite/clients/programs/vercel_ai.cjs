// Drives the Vercel AI SDK as a program of a user would, and prints what it saw as one JSON object.
//
// `node vercel_ai.cjs CASE...` with OPENAI_BASE_URL, OPENAI_API_KEY and MODEL in the environment. Each case is carried out with
// every provider package that can reach the gateway. It checks nothing: the test that starts it does.

const { APICallError, RetryError, Output, generateText, stepCountIs, streamText, tool } = require("ai");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { createOpenAI } = require("@ai-sdk/openai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { z } = require("zod");

// Else they are printed between the answers.
globalThis.AI_SDK_LOG_WARNINGS = false;

const settings = { baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY };
const id = process.env.MODEL;
const PROVIDERS = {
  responses: (model) => createOpenAI(settings).responses(model),
  chat: (model) => createOpenAI(settings).chat(model),
  compatible: (model) =>
    createOpenAICompatible({ name: "switchyard", includeUsage: true, supportsStructuredOutputs: true, ...settings })(model),
  anthropic: (model) => createAnthropic(settings)(model),
};
const PICTURE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const CASES = {
  /** The text as it comes. */
  async stream(model) {
    const pieces = [];
    const errors = [];
    const result = streamText({ model, prompt: "hello stream", onError: ({ error }) => errors.push(String(error)) });
    for await (const piece of result.textStream) pieces.push(piece);
    const [finish, usage] = [await result.finishReason, await result.totalUsage];
    return { text: pieces.join(""), pieces: pieces.length, finish, output_tokens: usage.outputTokens, errors };
  },

  /** A call that the SDK carries out by itself before it goes on. */
  async tools(model) {
    const add = tool({
      description: "Adds.",
      inputSchema: z.object({ a: z.number().int(), b: z.number().int() }),
      execute: async ({ a, b }) => String(a + b),
    });
    const asked = { model, prompt: 'call add {"a": 19, "b": 23}', tools: { add }, stopWhen: stepCountIs(4) };
    const result = await generateText(asked);
    const calls = result.steps.flatMap((step) => step.toolCalls.map((call) => ({ name: call.toolName, input: call.input })));
    return { text: result.text, calls, steps: result.steps.map((step) => step.finishReason) };
  },

  async structured(model) {
    const schema = z.object({ name: z.string(), tracks: z.number().int() });
    const prompt = 'repeat after me: {"name": "Altona", "tracks": 12}';
    return (await generateText({ model, prompt, output: Output.object({ schema }) })).output;
  },

  async image(model) {
    const image = { type: "image", image: PICTURE, mediaType: "image/png" };
    const content = [image, { type: "text", text: "hello picture" }];
    return { text: (await generateText({ model, messages: [{ role: "user", content }] })).text };
  },

  /** A stream that the test broke: what came of it. */
  async cut(model) {
    const errors = [];
    const seen = [];
    const result = streamText({ model, prompt: "stream 40 events", maxRetries: 0, onError: () => {} });
    for await (const part of result.fullStream) {
      if (part.type === "error") errors.push(JSON.stringify(part.error) + String(part.error));
      if (part.type === "text-delta") seen.push(part.text);
    }
    return { errors, pieces: seen.length, finish: await result.finishReason.catch(() => null) };
  },

  /** What a refusal is thrown as. */
  async refused(model) {
    try {
      await generateText({ model, prompt: "hello", maxRetries: 0 });
    } catch (error) {
      const cause = RetryError.isInstance(error) ? error.lastError : error;
      if (!APICallError.isInstance(cause)) throw error;
      const { statusCode, isRetryable, message, responseHeaders } = cause;
      return { status: statusCode, retryable: isRetryable, message, retry_after: responseHeaders?.["retry-after"] ?? null };
    }
    return { status: 200 };
  },

  /** The SDK's own retries. */
  async patient(model) {
    const begun = performance.now();
    const { text } = await generateText({ model, prompt: "hello patience", maxRetries: 2 });
    return { text, seconds: (performance.now() - begun) / 1000 };
  },
};

(async () => {
  const said = {};
  for (const argument of process.argv.slice(2)) {
    // `CASE@PROVIDER` is for that one alone.
    const [name, only] = argument.split("@");
    said[name] = {};
    for (const [provider, at] of Object.entries(PROVIDERS)) {
      if (only && only !== provider) continue;
      said[name][provider] = await CASES[name](at(id));
    }
  }
  console.log(JSON.stringify(said));
})();
