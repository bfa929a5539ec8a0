//! What is wrong with the settings, said so that the operator can mend it: which key, in which
//! layer, which value, which limit.

use std::fmt;
use std::path::PathBuf;

use crate::domain::RouteName;

/// One thing that is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key with its section, as in `server.listen`; for a variable, its name.
    pub key: String,
    /// The layer that set it, where that is known.
    pub layer: Option<String>,
    /// What is wrong, with value and limit; reads on from the key.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.what)?;
        match &self.layer {
            Some(layer) => write!(f, " ({layer})"),
            None => Ok(()),
        }
    }
}

/// A value that works but is seldom meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The key with its section.
    pub key: &'static str,
    /// What may come of it; reads on from the key.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.what)
    }
}

/// Why there are no usable settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file given with `--config` cannot be read.
    #[error("cannot read the settings file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file given with `--config` is no TOML.
    #[error("the settings file {} is not valid TOML: {detail}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why, with the line.
        detail: String,
    },
    /// Unknown keys, wrong types, values out of range: one line each.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
    /// No route is set, and there is no default.
    #[error(
        "no route is set: set genesys.route (VOICEPOST__GENESYS__ROUTE) to one of: {}",
        route_names()
    )]
    NoRoute,
    /// A variable of the environment that cannot be used.
    #[error("the environment variable {name} {what}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it; never its value.
        what: String,
    },
}

/// The names of all routes, as messages list them.
pub(super) fn route_names() -> String {
    RouteName::ALL.iter().map(|route| route.as_str()).collect::<Vec<_>>().join(", ")
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
