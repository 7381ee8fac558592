// Asks other models during some hours of the day (UTC): cheaper ones at night, say. It shows that a plugin needs no Rust.
// The clock is an input, as for every plugin: the same request gets the same answer, which is what makes replay exact.

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  properties: {
    from: { title: "First hour, UTC", type: "integer", minimum: 0, maximum: 23 },
    until: { title: "First hour that is no longer meant, UTC", type: "integer", minimum: 0, maximum: 23 },
    models: {
      title: "What is asked for, and what is asked instead",
      type: "object",
      additionalProperties: { type: "string", minLength: 1, maxLength: 200 },
    },
  },
};
const DEFAULTS = { from: 22, until: 6, models: {} };
const HOUR_MS = 3_600_000n;

let settings = DEFAULTS;

function parse(text) {
  const given = { ...DEFAULTS, ...JSON.parse(text || "{}") };
  if (given.from === given.until) {
    throw { tag: "invalid-config", val: [{ pointer: "/until", message: "from and until must differ" }] };
  }
  return given;
}

function isNight({ from, until }, nowMs) {
  const hour = Number((nowMs / HOUR_MS) % 24n);
  return from < until ? hour >= from && hour < until : hour >= from || hour < until;
}

export const lifecycle = {
  describe: () => ({
    name: "night-shift",
    version: "0.1.0",
    summary: "Asks other models during some hours of the day. Written in JavaScript.",
    hooks: { mapModel: true },
    requestView: "none",
    streams: {},
    configSchemaJson: JSON.stringify(SCHEMA),
    configDefaultsJson: JSON.stringify(DEFAULTS),
    deterministic: true,
  }),
  init(text) {
    settings = parse(text);
  },
  checkConfig(text) {
    parse(text);
  },
};

export const modelMapping = {
  resolve({ info }) {
    const model = Object.hasOwn(settings.models, info.requestedModel) ? settings.models[info.requestedModel] : undefined;
    if (model === undefined || !isNight(settings, info.nowMs)) {
      return { mapping: { tag: "unchanged" } };
    }
    return { mapping: { tag: "targets", val: [{ model }] } };
  },
  publish: (catalog) => catalog,
};
