//! The OAuth client's credentials (media-api contract, "Hosts and sign-in"), and what callers and
//! operators are known by. They come from the environment, or from files that it names, and never
//! from a settings file.

use zeroize::Zeroizing;

use super::{Environment, Secret, SettingsError};

const CLIENT_ID: &str = "GENESYS_CLIENT_ID";
const CLIENT_SECRET: &str = "GENESYS_CLIENT_SECRET";
const JWT_SECRET: &str = "VOICEPOST_JWT_SECRET";
const ADMIN_KEY: &str = "VOICEPOST_ADMIN_KEY";

/// What the gateway proves with who it is.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The OAuth client's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What callers and operators are known by.
    pub access: AccessSecrets,
}

/// Secrets of those who call the gateway, as far as it has any.
#[derive(Clone, Debug, Default)]
pub struct AccessSecrets {
    /// What guests' tokens are signed with (HS256).
    pub jwt_secret: Option<Secret>,
    /// What operators show.
    pub admin_key: Option<Secret>,
}

impl AccessSecrets {
    /// The secrets in the given environment; files are read.
    ///
    /// # Errors
    /// As for [`Credentials::load`], but one that is not given at all is `None`.
    pub fn load_from(environment: &Environment) -> Result<AccessSecrets, SettingsError> {
        let secret = |name| Ok(find(environment, name)?.map(|(_, secret)| secret));
        Ok(AccessSecrets { jwt_secret: secret(JWT_SECRET)?, admin_key: secret(ADMIN_KEY)? })
    }
}

impl Credentials {
    /// The credentials in this process's environment.
    ///
    /// # Errors
    /// `Variable`, naming the variable that is missing, empty, given twice, or names a file that
    /// cannot be read.
    pub fn load() -> Result<Credentials, SettingsError> {
        Credentials::load_from(&Environment::of_process()?)
    }

    /// The credentials in the given environment; files are read.
    ///
    /// # Errors
    /// As for [`Credentials::load`].
    pub fn load_from(environment: &Environment) -> Result<Credentials, SettingsError> {
        let client_id = require(environment, CLIENT_ID)?;
        let client_secret = require(environment, CLIENT_SECRET)?;
        let access = AccessSecrets::load_from(environment)?;
        Ok(Credentials { client_id: client_id.expose().to_owned(), client_secret, access })
    }

    /// For each of them: the variable's name, and the variable it was read from, if any.
    ///
    /// # Errors
    /// As for [`Credentials::load`], but one that is not given at all is `None`.
    pub fn sources(
        environment: &Environment,
    ) -> Result<Vec<(&'static str, Option<String>)>, SettingsError> {
        let source = |name| Ok((name, find(environment, name)?.map(|(from, _)| from)));
        [CLIENT_ID, CLIENT_SECRET, JWT_SECRET, ADMIN_KEY].into_iter().map(source).collect()
    }
}

fn require(environment: &Environment, name: &str) -> Result<Secret, SettingsError> {
    match find(environment, name)? {
        Some((_, secret)) => Ok(secret),
        None => Err(wrong(name, format!("is not set, and neither is {name}_FILE"))),
    }
}

/// The value of `name`, directly or from the file that `{name}_FILE` names, and which of the two.
fn find(environment: &Environment, name: &str) -> Result<Option<(String, Secret)>, SettingsError> {
    let file_name = format!("{name}_FILE");
    let (from, value) = match (environment.get(name), environment.get(&file_name)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(wrong(name, format!("is set, and so is {file_name}: give only one")));
        }
        (Some(value), None) => (name.to_owned(), Secret::new(value)),
        (None, Some(path)) => {
            let secret = read(&file_name, path)?;
            (file_name, secret)
        }
    };
    if value.expose().is_empty() {
        return Err(wrong(&from, "is empty"));
    }
    Ok(Some((from, value)))
}

/// The file without the one newline that editors put at its end.
fn read(variable: &str, path: &str) -> Result<Secret, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| wrong(variable, format!("names {path}, which cannot be read: {error}")))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(wrong(variable, format!("names {path}, which is empty")));
    }
    Ok(Secret::new(line))
}

fn wrong(name: &str, what: impl Into<String>) -> SettingsError {
    SettingsError::Variable { name: name.to_owned(), what: what.into() }
}
