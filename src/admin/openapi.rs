//! The description of the API: the kept file is made of the types that are sent, and compared with them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::{PATHS, api};

/// What one path tells.
struct Told {
    path: &'static str,
    summary: &'static str,
    /// Words after the question mark: name, whether it must be there, schema, meaning.
    words: Vec<(&'static str, bool, Value, &'static str)>,
    schema: Value,
    refusals: &'static [(&'static str, &'static str)],
}

const ENDING: (&str, &str) = ("503", "The server is about to end.");
const MALFORMED: (&str, &str) = ("400", "A word after the question mark is not known, or not right.");

fn told(schemas: &mut SchemaGenerator) -> Vec<Told> {
    let named = |what: &'static str| vec![("name", false, json!({"type": "string"}), what)];
    vec![
        Told {
            path: api::STATUS_PATH,
            summary: "Everything: zones, pools, drains, transfers, certificates, traffic, alerts.",
            words: vec![],
            schema: of::<api::Status>(schemas),
            refusals: &[ENDING],
        },
        Told {
            path: api::POOLS_PATH,
            summary: "The pools of all zones, or the one of a name.",
            words: named("The owner of a pool, with or without the dot at its end; without it, all pools."),
            schema: of::<Vec<api::Pool>>(schemas),
            refusals: &[MALFORMED, ("404", "No pool has that name."), ENDING],
        },
        Told {
            path: api::ZONES_PATH,
            summary: "The zones that are configured, served or not, or the one of a name.",
            words: named("The apex of a zone, with or without the dot at its end; without it, all zones."),
            schema: of::<Vec<api::Zone>>(schemas),
            refusals: &[MALFORMED, ("404", "No zone has that name.")],
        },
        Told {
            path: api::TRANSFERS_PATH,
            summary: "Zones from other servers, and what servers that follow this one serve.",
            words: vec![],
            schema: of::<api::Transfers>(schemas),
            refusals: &[],
        },
        Told {
            path: api::DRAINS_PATH,
            summary: "Who is drained, and how long old answers name them.",
            words: vec![],
            schema: of::<api::Drains>(schemas),
            refusals: &[ENDING],
        },
        explained(schemas),
        Told {
            path: api::OPENAPI_PATH,
            summary: "This description.",
            words: vec![],
            schema: json!({"type": "object"}),
            refusals: &[],
        },
    ]
}

fn explained(schemas: &mut SchemaGenerator) -> Told {
    Told {
        path: api::EXPLAIN_PATH,
        summary: "Why one question of one client is answered as it is.",
        words: vec![
            ("name", true, json!({"type": "string"}), "The name that is asked for."),
            ("type", false, json!({"type": "string", "default": "A"}), "The type that is asked for, such as AAAA."),
            (
                "from",
                false,
                json!({"type": "string", "format": "ip", "default": "127.0.0.1"}),
                "The address of the client.",
            ),
        ],
        schema: of::<api::Explanation>(schemas),
        refusals: &[MALFORMED, ("409", "A zone transfer, which begins with no one reply."), ENDING],
    }
}

fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}

/// The whole description.
fn description() -> Value {
    let mut settings = SchemaSettings::openapi3();
    settings.definitions_path = "/components/schemas".into();
    // As it is sent, not as it is read: what has a default is always there.
    let mut schemas = settings.for_serialize().into_generator();
    let told = told(&mut schemas);
    let refusal = of::<api::Refusal>(&mut schemas);
    let content = |schema: &Value| json!({"application/json": {"schema": schema}});
    let mut paths = serde_json::Map::new();
    for Told { path, summary, words, schema, refusals } in told {
        let mut responses = json!({"200": {"description": "As it is now.", "content": content(&schema)}});
        let refusals = refusals.iter().chain(&[("421", "`Host` is neither an address nor localhost.")]);
        for (status, why) in refusals {
            responses[status] = json!({"description": why, "content": content(&refusal)});
        }
        let parameters: Vec<Value> = words
            .into_iter()
            .map(|(name, required, schema, what)| {
                json!({"name": name, "in": "query", "required": required, "description": what, "schema": schema})
            })
            .collect();
        let operation = path.rsplit('/').next().unwrap_or_default().replace(".json", "");
        let get =
            json!({"operationId": operation, "summary": summary, "parameters": parameters, "responses": responses});
        paths.insert(path.into(), json!({ "get": get }));
    }
    let mut schemas = Value::Object(schemas.take_definitions(true));
    close(&mut schemas);
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "kofn",
            "version": "1",
            "description": "What a running kofn tells, at the address of `[admin] listen`. It is read-only: what changes \
                            something goes through the control socket. Times are RFC 3339 in UTC; a field that has no \
                            value is `null`, never left out. Fields may be added.",
            "license": {"name": "MIT"},
        },
        "servers": [{"url": "http://127.0.0.1:8053"}],
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// No object has fields that are not described, and what may be `null` says so as OpenAPI 3.0 does.
fn close(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let nothing = |one: &Value| one["enum"] == json!([null]) || one.get("const").is_some_and(Value::is_null);
            if let Some(Value::Array(mut choices)) = object.get("anyOf").cloned()
                && choices.iter().any(nothing)
            {
                choices.retain(|one| !nothing(one));
                object.remove("anyOf");
                object.extend([("allOf".to_owned(), Value::Array(choices)), ("nullable".to_owned(), json!(true))]);
            }
            // A schema that others are laid over must let theirs through.
            if object.contains_key("properties") && !object.contains_key("allOf") {
                object.entry("additionalProperties").or_insert(json!(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn the_kept_description_is_of_the_types_that_are_sent() {
    let kept = include_str!("openapi.json");
    let made = serde_json::to_string_pretty(&description()).expect("plain JSON") + "\n";
    if kept != made {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/target/openapi.json");
        std::fs::write(place, made).expect("the folder of what is built");
        panic!("src/admin/openapi.json is not of the types any more; {place} is");
    }
}

#[test]
fn every_path_is_described_and_no_other() {
    let description = description();
    let described: Vec<&String> = description["paths"].as_object().expect("paths").keys().collect();
    let mut paths = PATHS.to_vec();
    paths.sort_unstable();
    assert_eq!(described, paths);
}
