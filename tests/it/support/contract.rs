//! The served OpenAPI document, and a validator for the part of JSON Schema that it uses.
//!
//! Stricter than a client: a member or a response header that the document does not name is a
//! fault, and a keyword that is not understood here is one too.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::{Client, Reply};

/// The document of this build; the same for every gateway.
static SERVED: OnceLock<Arc<Contract>> = OnceLock::new();

/// What the gateway promises.
pub struct Contract {
    document: Value,
}

impl Contract {
    /// The document as a gateway at this address serves it.
    pub fn served_at(address: SocketAddr) -> Arc<Contract> {
        let ask = || {
            let document = Client::new(address, None).get("/openapi.json").receipt(200);
            Arc::new(Contract { document })
        };
        Arc::clone(SERVED.get_or_init(ask))
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
        let body = if is_json { reply.json() } else { Value::from(reply.text()) };
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
        let keywords = self.resolve(schema).as_object().expect("a schema is an object");
        keywords.iter().find_map(|(keyword, rule)| {
            let holds = match keyword.as_str() {
                "description" | "examples" => true,
                "type" => list(rule).iter().any(|name| has_type(value, name)),
                "enum" => list(rule).contains(value),
                "format" => has_format(value, rule),
                "minimum" => value.as_i64().is_none_or(|n| rule.as_i64().is_some_and(|m| n >= m)),
                "maximum" => value.as_i64().is_none_or(|n| rule.as_i64().is_some_and(|m| n <= m)),
                "minLength" => chars(value).is_none_or(|n| Some(n) >= rule.as_u64()),
                "maxLength" => chars(value).is_none_or(|n| Some(n) <= rule.as_u64()),
                "anyOf" => list(rule).iter().any(|one| self.fault(one, value, at).is_none()),
                "items" => return self.items_fault(rule, value, at),
                "required" => list(rule)
                    .iter()
                    .all(|name| name.as_str().is_some_and(|n| value.get(n).is_some())),
                "properties" => return self.member_fault(rule, value.as_object(), at),
                unknown => panic!("the validator does not know the keyword {unknown}"),
            };
            (!holds).then(|| format!("{at} is {value}, against {keyword}: {rule}"))
        })
    }

    fn items_fault(&self, rule: &Value, value: &Value, at: &str) -> Option<String> {
        let items = value.as_array()?.iter().enumerate();
        items.into_iter().find_map(|(n, item)| self.fault(rule, item, &format!("{at}[{n}]")))
    }

    fn member_fault(
        &self,
        rules: &Value,
        members: Option<&Map<String, Value>>,
        at: &str,
    ) -> Option<String> {
        members?.iter().find_map(|(name, value)| match rules.get(name) {
            Some(rule) => self.fault(rule, value, &format!("{at}.{name}")),
            None => Some(format!("{at}.{name} is not in the document")),
        })
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(t, p)| *t == p || (t.starts_with('{') && !p.is_empty()))
}

fn list(rule: &Value) -> Vec<Value> {
    rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()])
}

fn chars(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn has_type(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("a type's name") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        unknown => panic!("the validator does not know the type {unknown}"),
    }
}

fn has_format(value: &Value, rule: &Value) -> bool {
    let Some(text) = value.as_str() else { return true };
    match rule.as_str().expect("a format's name") {
        "date-time" => text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
        "uuid" => text.len() == 36 && uuid::Uuid::try_parse(text).is_ok(),
        unknown => panic!("the validator does not know the format {unknown}"),
    }
}
