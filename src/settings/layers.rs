//! The layers and how they lie on each other: `config.toml`, a file, the environment.
//!
//! Every layer is checked against the keys of `config.toml` before it is merged, so that a
//! misspelt key is reported by the name its author wrote, in the place where it stands.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::environment::PREFIX;
use super::{Environment, Problem, Settings, SettingsError};

/// The default layer and the manual.
const BUILT_IN: &str = include_str!("../../config.toml");

/// All layers, merged; not checked for ranges yet.
pub struct Layers {
    figment: Figment,
}

/// One setting in effect, and where it was set.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key with its section, as in `server.listen`.
    pub key: String,
    /// Its value as written: a text, a whole number, or true or false.
    pub value: serde_json::Value,
    /// The layer that set it, in words.
    pub layer: String,
}

impl Layers {
    /// Reads all layers and refuses keys that `config.toml` does not have.
    ///
    /// # Errors
    /// `Unreadable`, `NotToml`, or `Invalid` with every unknown key of every layer.
    pub fn read(file: Option<&Path>, environment: &Environment) -> Result<Layers, SettingsError> {
        let built_in = Layer {
            place: Place::BuiltIn,
            values: toml::from_str(BUILT_IN).map_err(|error| SettingsError::NotToml {
                path: PathBuf::from("config.toml"),
                detail: error.to_string(),
            })?,
        };
        let known = leaves(&built_in.values);
        let mut layers = Vec::new();
        if let Some(path) = file {
            layers.push(Layer::of_file(path)?);
        }
        layers.push(Layer::of_environment(environment, &known));
        let unknown: Vec<Problem> =
            layers.iter().flat_map(|layer| layer.unknown_keys(&known)).collect();
        if !unknown.is_empty() {
            return Err(SettingsError::Invalid(unknown));
        }
        let figment = layers.into_iter().fold(Figment::from(built_in), Figment::merge);
        Ok(Layers { figment })
    }

    /// The typed settings, checked.
    ///
    /// # Errors
    /// `Invalid`: a wrong type, or values out of range, each with the layer that set it.
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        let settings: Settings = self.figment.extract().map_err(|error| {
            SettingsError::Invalid(error.into_iter().map(|error| self.mistyped(error)).collect())
        })?;
        match settings.check() {
            Ok(_) => Ok(settings),
            Err(SettingsError::Invalid(problems)) => {
                Err(SettingsError::Invalid(problems.into_iter().map(|p| self.placed(p)).collect()))
            }
            Err(error) => Err(error),
        }
    }

    /// Every setting in effect, by section and key.
    pub fn entries(&self) -> Vec<Entry> {
        let merged: Dict = self.figment.extract().unwrap_or_default();
        let mut entries: Vec<Entry> = leaves(&merged)
            .into_iter()
            .map(|(key, value)| Entry {
                layer: self.layer_of(&key).unwrap_or_default(),
                value: serde_json::to_value(&value).unwrap_or_default(),
                key,
            })
            .collect();
        entries.sort_by(|a, b| a.key.rsplit_once('.').cmp(&b.key.rsplit_once('.')));
        entries
    }

    fn layer_of(&self, key: &str) -> Option<String> {
        self.figment.find_metadata(key).map(|metadata| metadata.name.to_string())
    }

    fn placed(&self, problem: Problem) -> Problem {
        Problem { layer: self.layer_of(&problem.key), ..problem }
    }

    fn mistyped(&self, error: figment::Error) -> Problem {
        let key = error.path.join(".");
        let found = match self.figment.find_value(&key) {
            Ok(value) => serde_json::to_string(&value).unwrap_or_default(),
            Err(_) => "missing".to_owned(),
        };
        let what = match &error.kind {
            Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
                format!("is {found}, where {} is due", in_words(expected))
            }
            kind => format!("is {found}: {kind}"),
        };
        self.placed(Problem { key, layer: None, what })
    }
}

/// Where a layer comes from.
enum Place {
    BuiltIn,
    File(PathBuf),
    Environment,
}

impl Place {
    fn describe(&self) -> Cow<'static, str> {
        match self {
            Place::BuiltIn => "default".into(),
            Place::File(path) => format!("file {}", path.display()).into(),
            Place::Environment => "environment".into(),
        }
    }

    /// A key as its author writes it in this place.
    fn spell(&self, key: &str) -> String {
        match self {
            Place::BuiltIn | Place::File(_) => key.to_owned(),
            Place::Environment => {
                format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
            }
        }
    }
}

struct Layer {
    place: Place,
    values: Dict,
}

impl Layer {
    fn of_file(path: &Path) -> Result<Layer, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
        let values = toml::from_str(&text).map_err(|error| SettingsError::NotToml {
            path: path.to_owned(),
            detail: error.to_string(),
        })?;
        Ok(Layer { place: Place::File(path.to_owned()), values })
    }

    /// A variable has no type of its own: it takes that of the default, so that a text made of
    /// digits stays a text.
    fn of_environment(environment: &Environment, known: &BTreeMap<String, Value>) -> Layer {
        let mut values = Dict::new();
        for (name, text) in environment.settings() {
            let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
            let value = match known.get(&key) {
                Some(Value::String(..)) | None => Value::from(text),
                Some(Value::Bool(..)) => text.parse::<bool>().map_or(text.into(), Value::from),
                Some(_) => match text.parse::<i64>() {
                    Ok(number) => Value::from(number),
                    Err(_) => Value::from(text),
                },
            };
            insert(&mut values, &key, value);
        }
        Layer { place: Place::Environment, values }
    }

    fn unknown_keys(&self, known: &BTreeMap<String, Value>) -> Vec<Problem> {
        let sections: BTreeSet<&str> = known.keys().flat_map(|key| parents(key)).collect();
        leaves(&self.values)
            .into_iter()
            .filter(|(key, _)| !known.contains_key(key))
            .filter_map(|(key, value)| {
                let what = match (sections.contains(key.as_str()), &value) {
                    (true, Value::Dict(..)) => return None,
                    (true, _) => "is a section, not a setting".to_owned(),
                    (false, _) => {
                        let nearest = nearest(&key, known.keys());
                        format!("is no setting; the nearest is {}", self.place.spell(nearest))
                    }
                };
                let layer = Some(self.place.describe().into_owned());
                Some(Problem { key: self.place.spell(&key), layer, what })
            })
            .collect()
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.describe())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Every value that is not a section, by its dotted key; an empty section stands for itself.
fn leaves(dict: &Dict) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (key, value) in dict {
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => {
                let inner = leaves(inner).into_iter();
                found.extend(inner.map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            _ => {
                found.insert(key.clone(), value.clone());
            }
        }
    }
    found
}

/// A type as operators know it.
fn in_words(expected: &str) -> String {
    match expected {
        "usize" | "u64" => "a whole number from 0".to_owned(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "a string" => "a text in quotes".to_owned(),
        other => other.to_owned(),
    }
}

/// The sections a key lies in: `genesys` and `genesys.media_api` for one of the latter's keys.
fn parents(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('.').map(|(at, _)| &key[..at])
}

fn insert(dict: &mut Dict, key: &str, value: Value) {
    let Some((section, rest)) = key.split_once('.') else {
        dict.insert(key.to_owned(), value);
        return;
    };
    let inner = dict.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
    // Otherwise the variable of the whole section is there too, and is reported as wrong.
    if let Value::Dict(_, inner) = inner {
        insert(inner, rest, value);
    }
}

/// The known key that was most likely meant: the same name in another section, else the least
/// edits over the whole key.
fn nearest<'k>(key: &str, known: impl Iterator<Item = &'k String>) -> &'k str {
    let likeness = |candidate: &str| {
        let name = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let whole = strsim::normalized_damerau_levenshtein(key, candidate);
        let last = strsim::normalized_damerau_levenshtein(&name(key), &name(candidate));
        whole + last
    };
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).map(String::as_str).unwrap_or_default()
}
