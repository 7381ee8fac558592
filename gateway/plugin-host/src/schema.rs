//! Checks a configuration against the JSON Schema that a component gave for it.
//!
//! The part of JSON Schema 2020-12 that a form can show. A schema with another word is refused at admission, so that
//! no constraint is ever ignored.

use serde_json::{Map, Value};

/// Nested deeper than any form.
const MAX_DEPTH: usize = 16;

/// Words that constrain, and that this file carries out.
const CONSTRAINTS: [&str; 20] = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "anyOf",
    "oneOf",
    "allOf",
];

/// Words that explain.
const ANNOTATIONS: [&str; 9] =
    ["$schema", "$id", "$comment", "title", "description", "default", "examples", "format", "deprecated"];

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// JSON pointer of the value.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

/// Whether a schema uses only what is carried out here.
pub(crate) fn check_schema(schema: &Value) -> Result<(), String> {
    check_schema_at(schema, "", 0)
}

fn check_schema_at(schema: &Value, pointer: &str, depth: usize) -> Result<(), String> {
    let words = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(words) if depth < MAX_DEPTH => words,
        Value::Object(_) => {
            return Err(format!("its schema is nested deeper than {MAX_DEPTH} at `{pointer}`"));
        }
        _ => return Err(format!("its schema at `{pointer}` is neither an object nor a boolean")),
    };
    for (word, value) in words {
        let here = format!("{pointer}/{word}");
        match (word.as_str(), value) {
            ("properties", Value::Object(of)) => {
                for (name, schema) in of {
                    check_schema_at(schema, &format!("{here}/{name}"), depth + 1)?;
                }
            }
            ("items" | "additionalProperties", schema) => check_schema_at(schema, &here, depth + 1)?,
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                for schema in schemas {
                    check_schema_at(schema, &here, depth + 1)?;
                }
            }
            (word, _) if CONSTRAINTS.contains(&word) || ANNOTATIONS.contains(&word) => {}
            (word, _) => {
                return Err(format!(
                    "its schema uses `{word}` at `{pointer}`, which this gateway does not check"
                ));
            }
        }
    }
    Ok(())
}

/// What does not fit the schema; nothing when all does.
pub(crate) fn misfits(schema: &Value, value: &Value) -> Vec<Misfit> {
    let mut found = Vec::new();
    visit(schema, value, "", &mut found);
    found
}

fn visit(schema: &Value, value: &Value, pointer: &str, found: &mut Vec<Misfit>) {
    let words = match schema {
        Value::Bool(true) => return,
        Value::Object(words) => words,
        _ => return found.push(misfit(pointer, "is not allowed")),
    };
    for (word, wanted) in words {
        if let Some(message) = complaint(word, wanted, value) {
            found.push(misfit(pointer, &message));
        }
    }
    match value {
        Value::Object(members) => visit_members(words, members, pointer, found),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if let Some(schema) = words.get("items") {
                    visit(schema, item, &format!("{pointer}/{at}"), found);
                }
            }
        }
        _ => {}
    }
    if let Some(Value::Array(all)) = words.get("allOf") {
        for schema in all {
            visit(schema, value, pointer, found);
        }
    }
}

fn visit_members(
    words: &Map<String, Value>,
    members: &Map<String, Value>,
    pointer: &str,
    found: &mut Vec<Misfit>,
) {
    let known = words.get("properties").and_then(Value::as_object);
    for (name, value) in members {
        let here = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        let schema = known.and_then(|known| known.get(name)).or_else(|| words.get("additionalProperties"));
        match schema {
            Some(Value::Bool(false)) => found.push(misfit(&here, "is not known")),
            Some(schema) => visit(schema, value, &here, found),
            None => {}
        }
    }
    for name in
        words.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        if !members.contains_key(name) {
            found.push(misfit(&format!("{pointer}/{name}"), "is required"));
        }
    }
}

fn misfit(pointer: &str, message: &str) -> Misfit {
    Misfit { pointer: pointer.to_owned(), message: message.to_owned() }
}

/// What one word says against a value itself; what is inside is visited elsewhere.
fn complaint(word: &str, wanted: &Value, value: &Value) -> Option<String> {
    let number = value.as_f64();
    let bound = wanted.as_f64();
    let against = |fits: bool, message: String| (!fits).then_some(message);
    match (word, value) {
        ("type", _) => against(has_type(wanted, value), format!("must be of type {}", types(wanted))),
        ("enum", _) => against(
            wanted.as_array().is_some_and(|all| all.contains(value)),
            format!("must be one of {wanted}"),
        ),
        ("const", _) => against(wanted == value, format!("must be {wanted}")),
        ("anyOf" | "oneOf", _) => {
            let fits = |schema: &&Value| misfits(schema, value).is_empty();
            let fitting = wanted.as_array().into_iter().flatten().filter(fits).count();
            let enough = if word == "oneOf" { fitting == 1 } else { fitting > 0 };
            against(enough, "fits none of the allowed forms, or more than one".to_owned())
        }
        ("minimum", _) => against(number? >= bound?, format!("must be {wanted} or more")),
        ("maximum", _) => against(number? <= bound?, format!("must be {wanted} or less")),
        ("exclusiveMinimum", _) => against(number? > bound?, format!("must be more than {wanted}")),
        ("exclusiveMaximum", _) => against(number? < bound?, format!("must be less than {wanted}")),
        ("multipleOf", _) => {
            let times = number? / bound?;
            against((times - times.round()).abs() < 1e-9, format!("must be a multiple of {wanted}"))
        }
        ("minLength", Value::String(text)) => at_least(text.chars().count(), wanted, "characters"),
        ("maxLength", Value::String(text)) => at_most(text.chars().count(), wanted, "characters"),
        ("minItems", Value::Array(items)) => at_least(items.len(), wanted, "entries"),
        ("maxItems", Value::Array(items)) => at_most(items.len(), wanted, "entries"),
        ("uniqueItems", Value::Array(items)) if wanted == &Value::Bool(true) => {
            let unique =
                items.iter().enumerate().all(|(at, item)| !items.iter().take(at).any(|one| one == item));
            against(unique, "must not repeat an entry".to_owned())
        }
        _ => None,
    }
}

fn at_least(found: usize, wanted: &Value, what: &str) -> Option<String> {
    let least = wanted.as_u64()?;
    ((found as u64) < least).then(|| format!("must have {least} {what} or more"))
}

fn at_most(found: usize, wanted: &Value, what: &str) -> Option<String> {
    let most = wanted.as_u64()?;
    ((found as u64) > most).then(|| format!("must have {most} {what} or fewer"))
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::String(name) => is_of(name, value),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(|name| is_of(name, value)),
        _ => false,
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        // 1.0 is an integer too.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

fn types(wanted: &Value) -> String {
    match wanted {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        other => other.as_str().unwrap_or("a known type").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["mode"],
            "additionalProperties": false,
            "properties": {
                "mode": {"enum": ["block", "warn"], "title": "What to do"},
                "threshold": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
                "words": {"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 2, "uniqueItems": true},
                "limit": {"anyOf": [{"type": "null"}, {"type": "integer", "multipleOf": 5}]}
            }
        })
    }

    #[test]
    fn what_fits_has_no_misfits() {
        for value in [
            json!({"mode": "warn"}),
            json!({"mode": "block", "threshold": 0, "words": ["ab", "cd"], "limit": null}),
            json!({"mode": "block", "limit": 15.0}),
        ] {
            assert_eq!(misfits(&schema(), &value), [], "{value}");
        }
        assert_eq!(check_schema(&schema()), Ok(()));
    }

    #[test]
    fn every_misfit_is_named_with_its_place() {
        for (value, pointer, message) in [
            (json!([]), "", "type object"),
            (json!({}), "/mode", "required"),
            (json!({"mode": "loud"}), "/mode", "one of"),
            (json!({"mode": "warn", "a/b": 1}), "/a~1b", "not known"),
            (json!({"mode": "warn", "threshold": 1}), "/threshold", "less than 1"),
            (json!({"mode": "warn", "threshold": -0.5}), "/threshold", "0 or more"),
            (json!({"mode": "warn", "words": ["ab", "c"]}), "/words/1", "2 characters"),
            (json!({"mode": "warn", "words": ["ab", "ab"]}), "/words", "repeat"),
            (json!({"mode": "warn", "words": ["ab", "cd", "ef"]}), "/words", "2 entries or fewer"),
            (json!({"mode": "warn", "limit": 7}), "/limit", "allowed forms"),
        ] {
            let found = misfits(&schema(), &value);
            assert_eq!(found.len(), 1, "{value}: {found:?}");
            assert!(found[0].pointer == pointer && found[0].message.contains(message), "{value}: {found:?}");
        }
    }

    #[test]
    fn a_schema_that_would_be_half_checked_is_refused() {
        let deep = (0..20).fold(json!({}), |inner, _| json!({"items": inner}));
        for (schema, because) in [
            (json!({"pattern": "^a"}), "`pattern`"),
            (json!({"properties": {"a": {"$ref": "#/b"}}}), "`$ref`"),
            (json!({"allOf": [{"not": {}}]}), "`not`"),
            (json!("text"), "neither"),
            (deep, "deeper"),
        ] {
            let error = check_schema(&schema).unwrap_err();
            assert!(error.contains(because), "{error}");
        }
    }
}
