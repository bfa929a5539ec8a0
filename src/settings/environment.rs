//! The environment as an argument: tests bring their own, and nothing else in the settings reads
//! that of the process.

use std::collections::BTreeMap;
use std::fmt;

use super::{SettingsError, credentials};

/// What the names of variables that are settings start with. Two underscores, because orchestrators
/// set variables such as `VOICEPOST_PORT` for a service of that name.
pub(super) const PREFIX: &str = "VOICEPOST__";

/// The variables that concern the gateway. May hold the credentials: `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process whose names are ours.
    ///
    /// # Errors
    /// `Variable` for one of them whose value is not UTF-8.
    pub fn of_process() -> Result<Environment, SettingsError> {
        let mut variables = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            if !name.starts_with(PREFIX) && !credentials::is_named(&name) {
                continue;
            }
            let Ok(value) = value.into_string() else {
                return Err(SettingsError::Variable { name, what: "is not UTF-8".to_owned() });
            };
            variables.insert(name, value);
        }
        Ok(Environment(variables))
    }

    /// The value of a variable, the empty one included.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variables that are settings: (name, value).
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Environment {
        let owned = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Environment(owned.collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
