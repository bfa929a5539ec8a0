//! The OAuth client's credentials (media-api contract, "Hosts and sign-in"), and what callers and
//! operators are known by. They come from the environment, from files that it names, or from
//! systemd (`LoadCredential=`, files of the variables' names in `$CREDENTIALS_DIRECTORY`), and
//! never from a settings file.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::live_secret::Source;
use super::secret_kind::{
    ADMIN_KEY, ALL, CLIENT_ID, CLIENT_SECRET, DATA_KEY, JWT_SECRET, SecretKind, WEBHOOK_SECRET,
};
use super::{Environment, LiveSecret, Looked, Secret, SettingsError};

/// Where systemd puts credentials (systemd.exec(5)).
const DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// What the gateway proves with who it is.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The OAuth client's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: LiveSecret,
    /// What callers and operators are known by.
    pub access: AccessSecrets,
}

/// Secrets of those who call the gateway, and of its data, as far as it has any.
#[derive(Clone, Debug, Default)]
pub struct AccessSecrets {
    /// What guests' tokens are signed with (HS256); several, each on a line of its own, while one
    /// takes the other's place.
    pub jwt_secret: Option<LiveSecret>,
    /// What operators show.
    pub admin_key: Option<LiveSecret>,
    /// What data on the disk is encrypted with; read at the start only. Several, each on a line of
    /// its own: the first encrypts, all decrypt.
    pub data_key: Option<LiveSecret>,
    /// What Genesys signs its calls of the webhook with; several, each on a line of its own, while
    /// one takes the other's place.
    pub webhook_secret: Option<LiveSecret>,
}

impl AccessSecrets {
    /// The secrets in the given environment; files are read.
    ///
    /// # Errors
    /// As for [`Credentials::load`], but one that is not given at all is `None`.
    pub fn load_from(environment: &Environment) -> Result<AccessSecrets, SettingsError> {
        let secret = |kind| Ok(find(environment, kind)?.map(|(_, secret)| secret));
        Ok(AccessSecrets {
            jwt_secret: secret(&JWT_SECRET)?,
            admin_key: secret(&ADMIN_KEY)?,
            data_key: secret(&DATA_KEY)?,
            webhook_secret: secret(&WEBHOOK_SECRET)?,
        })
    }
}

impl Credentials {
    /// The credentials in this process's environment.
    ///
    /// # Errors
    /// `Variable`, naming the variable that is missing, empty, too short, given twice, or names a
    /// file that cannot be read.
    pub fn load() -> Result<Credentials, SettingsError> {
        Credentials::load_from(&Environment::of_process()?)
    }

    /// The credentials in the given environment; files are read.
    ///
    /// # Errors
    /// As for [`Credentials::load`].
    pub fn load_from(environment: &Environment) -> Result<Credentials, SettingsError> {
        let client_id = require(environment, &CLIENT_ID)?;
        let client_secret = require(environment, &CLIENT_SECRET)?;
        let access = AccessSecrets::load_from(environment)?;
        let client_id = client_id.current().expose().to_owned();
        Ok(Credentials { client_id, client_secret, access })
    }

    /// Those that have a file: for each its name, and the file.
    pub fn files(&self) -> Vec<(&'static str, PathBuf)> {
        let data_key = self.access.data_key.as_ref().map(|secret| (&DATA_KEY, secret));
        let all = self.live().into_iter().chain(data_key);
        all.filter_map(|(kind, secret)| Some((kind.name, secret.path()?.to_owned()))).collect()
    }

    /// Reads those that have a file anew: for each its name, and what came of it.
    pub fn look(&self) -> Vec<(&'static str, Looked)> {
        self.live().into_iter().map(|(kind, secret)| (kind.name, secret.look())).collect()
    }

    /// Those that are replaced while the gateway runs.
    fn live(&self) -> Vec<(&'static SecretKind, &LiveSecret)> {
        let AccessSecrets { jwt_secret, admin_key, data_key: _, webhook_secret } = &self.access;
        let all: [(&'static SecretKind, _); 4] = [
            (&CLIENT_SECRET, Some(&self.client_secret)),
            (&JWT_SECRET, jwt_secret.as_ref()),
            (&ADMIN_KEY, admin_key.as_ref()),
            (&WEBHOOK_SECRET, webhook_secret.as_ref()),
        ];
        all.into_iter().filter_map(|(kind, secret)| Some((kind, secret?))).collect()
    }

    /// What Genesys signs its calls of the webhook with, and the variable it was read from; `None`
    /// where there is none.
    ///
    /// # Errors
    /// As for [`Credentials::load`], of that one alone.
    pub fn webhook_secret(
        environment: &Environment,
    ) -> Result<Option<(String, LiveSecret)>, SettingsError> {
        find(environment, &WEBHOOK_SECRET)
    }

    /// For each of them: the variable's name, and the variable it was read from, if any.
    ///
    /// # Errors
    /// As for [`Credentials::load`], but one that is not given at all is `None`.
    pub fn sources(
        environment: &Environment,
    ) -> Result<Vec<(&'static str, Option<String>)>, SettingsError> {
        let source = |kind: &'static SecretKind| {
            Ok((kind.name, find(environment, kind)?.map(|(from, _)| from)))
        };
        ALL.into_iter().map(source).collect()
    }
}

/// Whether a variable is one of them, names the file of one, or names systemd's directory.
pub(super) fn is_named(variable: &str) -> bool {
    let name = variable.strip_suffix("_FILE").unwrap_or(variable);
    ALL.iter().any(|kind| kind.name == name) || variable == DIRECTORY
}

fn require(
    environment: &Environment,
    kind: &'static SecretKind,
) -> Result<LiveSecret, SettingsError> {
    let name = kind.name;
    match find(environment, kind)? {
        Some((_, secret)) => Ok(secret),
        None => Err(wrong(name, format!("is not set, and neither is {name}_FILE"))),
    }
}

/// The value: directly, from the file that `{name}_FILE` names, or from systemd; and which of them.
fn find(
    environment: &Environment,
    kind: &'static SecretKind,
) -> Result<Option<(String, LiveSecret)>, SettingsError> {
    let name = kind.name;
    let file_name = format!("{name}_FILE");
    let source = match (environment.get(name), environment.get(&file_name)) {
        (Some(_), Some(_)) => {
            return Err(wrong(name, format!("is set, and so is {file_name}: give only one")));
        }
        (Some(""), None) => return Err(wrong(name, "is empty")),
        (Some(value), None) => {
            let secret = kind.check(name, Secret::new(value))?;
            return Ok(Some((name.to_owned(), secret.into())));
        }
        (None, Some(path)) => Source { kind, name: file_name, path: path.into() },
        (None, None) => {
            let Some(path) = of_systemd(environment, name) else { return Ok(None) };
            Source { kind, name: format!("{DIRECTORY}/{name}"), path }
        }
    };
    Ok(Some((source.name.clone(), LiveSecret::read(source)?)))
}

fn of_systemd(environment: &Environment, name: &str) -> Option<PathBuf> {
    let path = Path::new(environment.get(DIRECTORY)?).join(name);
    path.exists().then_some(path)
}

/// The file without the one newline that editors put at its end, where that is such a secret.
pub(super) fn read(source: &Source) -> Result<Secret, SettingsError> {
    let Source { kind, name: variable, path } = source;
    let shown = path.display();
    let why = |error| wrong(variable, format!("names {shown}, which cannot be read: {error}"));
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(why)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(wrong(variable, format!("names {shown}, which is empty")));
    }
    kind.check(variable, Secret::new(line))
}

fn wrong(name: &str, what: impl Into<String>) -> SettingsError {
    SettingsError::Variable { name: name.to_owned(), what: what.into() }
}
