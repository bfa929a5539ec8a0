//! The OpenAPI document, and what is not as it says: its schemas are JSON Schema 2020-12, read by
//! the crate `jsonschema`. Stricter than a client: a member or a response header that the document
//! does not name is a fault.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::Reply;

/// The document of this build; the same for every gateway.
static OF_THIS_BUILD: LazyLock<Arc<Contract>> = LazyLock::new(|| {
    let document = voicepost::web::openapi_document().clone();
    Arc::new(Contract { document, validators: Mutex::default() })
});

/// What the gateway promises.
pub struct Contract {
    document: Value,
    /// By the schema's own text.
    validators: Mutex<HashMap<String, Validator>>,
}

impl Contract {
    /// The document that every gateway of this build serves.
    pub fn of_this_build() -> Arc<Contract> {
        Arc::clone(&OF_THIS_BUILD)
    }

    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Asserts that the document foresees this answer: status, content type, headers, body.
    #[track_caller]
    pub fn check(&self, method: &str, path: &str, reply: &Reply) {
        let at = format!("{method} {path}: {}", reply.status);
        let response = self.response(method, path, reply.status);
        let response = response.unwrap_or_else(|why| panic!("{at}: {why}: {}", reply.text()));
        let headers = response["headers"].as_object().into_iter().flatten();
        for (name, header) in headers {
            let header = self.resolve(header);
            let Some(value) = reply.header(name) else { panic!("{at}: no header {name}") };
            let value = Value::from(value);
            assert_eq!(self.fault(&header["schema"], &value, name), None, "{at}");
        }
        for name in ["retry-after", "location", "allow", "www-authenticate"] {
            let named = response["headers"].as_object();
            let named = named.is_some_and(|all| all.keys().any(|n| n.eq_ignore_ascii_case(name)));
            assert!(named || reply.header(name).is_none(), "{at}: {name} is not in the document");
        }
        let content = response["content"].as_object().expect("every answer has a body");
        let content_type = reply.header("content-type").unwrap_or_default();
        let Some(media) = content.get(content_type) else {
            panic!("{at}: {content_type:?} is not in the document: {}", reply.text());
        };
        let is_json = content_type.ends_with("json");
        let text = || Value::from(String::from_utf8_lossy(reply.bytes()));
        let body = if is_json { reply.json() } else { text() };
        assert_eq!(self.fault(&media["schema"], &body, "body"), None, "{at}");
    }

    /// What the document says about an answer.
    fn response(&self, method: &str, path: &str, status: u16) -> Result<&Value, String> {
        let path = path.split('?').next().unwrap_or_default();
        let paths = self.document["paths"].as_object().expect("paths");
        let responses = &self.document["components"]["responses"];
        let Some((_, item)) = paths.iter().find(|(template, _)| fits(template, path)) else {
            let unknown = match status {
                401 => Some(&responses["Unauthorized"]),
                404 => Some(&responses["RouteNotFound"]),
                429 => Some(&responses["TooManyRequests"]),
                _ => None,
            };
            return unknown.ok_or("the path is not in the document".to_owned());
        };
        let Some(operation) = item.get(method.to_ascii_lowercase()) else {
            let refused = (status == 405).then_some(&responses["MethodNotAllowed"]);
            return refused.ok_or("the method is not in the document".to_owned());
        };
        let found = operation["responses"].get(status.to_string());
        let found = found.ok_or("the status is not in the document".to_owned())?;
        Ok(self.resolve(found))
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').expect("references stay inside");
                self.document.pointer(pointer).unwrap_or_else(|| panic!("nothing at {reference}"))
            }
            None => value,
        }
    }

    /// What about `value` is not as `schema` says; `at` is where it stands.
    pub fn fault(&self, schema: &Value, value: &Value, at: &str) -> Option<String> {
        let mut validators = self.validators.lock().unwrap();
        let known = validators.entry(schema.to_string());
        let validator = known.or_insert_with(|| {
            // References stay inside: the schemas come along.
            let schemas = self.document["components"]["schemas"].as_object().expect("schemas");
            schemas.values().chain([schema]).for_each(expect_known);
            let mut whole = json!({"allOf": [schema], "components": self.document["components"]});
            close(&mut whole);
            let options = jsonschema::options()
                .with_draft(Draft::Draft202012)
                .should_validate_formats(true)
                .with_format("date-time", is_utc);
            options.build(&whole).unwrap_or_else(|error| panic!("{at}: {error}"))
        });
        let fault = validator.iter_errors(value).next();
        fault.map(|fault| format!("{at}{}: {fault}", fault.instance_path()))
    }
}

/// What the document's schemas say; JSON Schema ignores what it does not know, a slip included.
const KEYWORDS: [&str; 16] = [
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "description",
    "enum",
    "examples",
    "format",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "properties",
    "required",
    "type",
];

/// Closes every object: what the document does not name is a fault.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Fails on a rule that nobody knows.
fn expect_known(schema: &Value) {
    let Value::Object(members) = schema else { return };
    for (name, rule) in members {
        assert!(KEYWORDS.contains(&name.as_str()), "the keyword {name} in {schema}");
        match (name.as_str(), rule) {
            ("properties", Value::Object(properties)) => properties.values().for_each(expect_known),
            ("items" | "additionalProperties", one) => expect_known(one),
            ("anyOf", Value::Array(any)) => any.iter().for_each(expect_known),
            _ => {}
        }
    }
}

/// RFC 3339, as the gateway writes it: always in UTC.
fn is_utc(text: &str) -> bool {
    text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(t, p)| *t == p || (t.starts_with('{') && !p.is_empty()))
}
