//! `voicepost keys`: the API keys of backends. Works on the key file, whether a gateway runs or
//! not.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;

use super::{Ended, route_name};
use crate::access::{ApiKey, KeyFile, KeyFileError, NewKey};
use crate::clock::Clock;
use crate::domain::RouteName;
use crate::settings::Settings;

/// Longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Arguments of `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// The key file, instead of the one that auth.keys_file names
    #[arg(long, global = true, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do with them.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, this once
    New {
        /// What to call it; no other key in use may have the name
        #[arg(long, value_parser = key_name)]
        name: String,
        /// Routes it may send by, separated by commas; otherwise every route
        #[arg(long, value_delimiter = ',', value_parser = route_name)]
        routes: Vec<RouteName>,
        /// Requests a minute; otherwise what the settings say
        #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..))]
        quota: Option<u32>,
    },
    /// List all keys, revoked ones too
    List,
    /// Revoke a key; a running gateway refuses it a second later
    Revoke {
        /// Its id or its name
        key: String,
    },
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error(transparent)]
    File(#[from] KeyFileError),
    #[error("there is a key named {0:?} already")]
    NameTaken(String),
    #[error("no key in use has the id or name {0:?}")]
    Unknown(String),
}

/// Makes, lists or revokes keys.
///
/// # Errors
/// When no file is named, or it cannot be read or written, or the key is not there.
pub fn run(config: Option<&Path>, args: &KeysArgs) -> Ended {
    let path = match &args.file {
        Some(path) => path.clone(),
        None => Settings::load(config)?
            .auth
            .keys_file
            .map(PathBuf::from)
            .ok_or("no key file is named: set auth.keys_file, or give --file")?,
    };
    let file = KeyFile::at(path);
    let printed = match &args.command {
        KeysCommand::New { name, routes, quota } => {
            let new =
                NewKey { name: name.clone(), routes: routes.clone(), quota_per_minute: *quota };
            let (text, key) = make(&file, new)?;
            eprintln!("key {} ({}): this is the only time it is shown", key.id, key.name);
            if args.json { json!({ "id": key.id, "key": text }).to_string() } else { text }
        }
        KeysCommand::List => show(&file.read()?, args.json)?,
        KeysCommand::Revoke { key } => {
            let key = revoke(&file, key)?;
            if args.json { serde_json::to_string(&key)? } else { format!("revoked {}", key.id) }
        }
    };
    writeln!(std::io::stdout(), "{}", printed.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn make(file: &KeyFile, new: NewKey) -> Result<(String, ApiKey), Box<dyn std::error::Error>> {
    let (mut secret, mut id) = ([0; 32], [0; 6]);
    let random = SystemRandom::new();
    random.fill(&mut secret).map_err(|_| "the system has no randomness")?;
    random.fill(&mut id).map_err(|_| "the system has no randomness")?;
    let (text, key) = new.mint(&secret, id, Clock::system().now());
    file.change(|keys| {
        if keys.iter().any(|other| other.revoked_at.is_none() && other.name == key.name) {
            return Err(ChangeError::NameTaken(key.name.clone()));
        }
        keys.push(key.clone());
        Ok(())
    })?;
    Ok((text, key))
}

fn revoke(file: &KeyFile, wanted: &str) -> Result<ApiKey, ChangeError> {
    let now = Clock::system().now();
    file.change(|keys| {
        let mut used = keys.iter_mut().filter(|key| key.revoked_at.is_none());
        let found = used.find(|key| key.id == wanted || key.name == wanted);
        let key = found.ok_or_else(|| ChangeError::Unknown(wanted.to_owned()))?;
        key.revoked_at = Some(now);
        Ok(key.clone())
    })
}

fn show(keys: &[ApiKey], json: bool) -> Result<String, serde_json::Error> {
    if json {
        return serde_json::to_string_pretty(keys);
    }
    let mut text = String::new();
    for key in keys {
        let routes: Vec<&str> = key.routes.iter().map(|route| route.as_str()).collect();
        let routes = if routes.is_empty() { "every route".to_owned() } else { routes.join(", ") };
        let quota = key.quota_per_minute.map(|quota| format!(", {quota} a minute"));
        let revoked = key.revoked_at.map(|at| format!(", revoked {at}"));
        let (quota, revoked) = (quota.unwrap_or_default(), revoked.unwrap_or_default());
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{}  {}: {routes}{quota}, made {}{revoked}",
            key.id, key.name, key.created_at
        );
    }
    Ok(text)
}

fn key_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
    if text.trim().is_empty() || text.len() > NAME_BYTES_MAX || !text.chars().all(plain) {
        return Err(format!("must be 1 to {NAME_BYTES_MAX} of letters, digits, - _ . and spaces"));
    }
    Ok(text.to_owned())
}
