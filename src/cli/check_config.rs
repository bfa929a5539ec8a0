//! `voicepost check-config`: the settings in effect, where each was set, and what is odd in them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::Ended;
use crate::settings::{AccessSecrets, Credentials, Entry, Environment, Layers, Settings};

/// Arguments of `check-config`.
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What the settings come to.
struct Report {
    entries: Vec<Entry>,
    /// Variable names, and where their value was found.
    credentials: Vec<(&'static str, Option<String>)>,
    warnings: Vec<String>,
}

/// Prints the report of this process's settings. Credentials are only said to be set or not.
///
/// # Errors
/// Whatever makes the settings or the credentials unusable.
pub fn run(config: Option<&Path>, args: &CheckConfigArgs) -> Ended {
    let environment = Environment::of_process()?;
    let layers = Layers::read(config, &environment)?;
    let settings = layers.settings()?;
    settings.check_access(&AccessSecrets::load_from(&environment)?)?;
    let report = Report {
        entries: layers.entries(),
        credentials: Credentials::sources(&environment)?,
        warnings: warnings(&settings)?,
    };
    let text = if args.json { report.json() } else { report.text() };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn warnings(settings: &Settings) -> Result<Vec<String>, crate::settings::SettingsError> {
    let mut warnings: Vec<String> =
        settings.check()?.iter().map(|warning| warning.to_string()).collect();
    if let Err(error) = settings.route() {
        warnings.push(format!("serve would not start: {error}"));
    }
    Ok(warnings)
}

impl Report {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        for entry in &self.entries {
            let (section, name) = entry.key.rsplit_once('.').unwrap_or(("", &entry.key));
            if section != current {
                let gap = if current.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{section}]");
                current = section;
            }
            let assignment = format!("{name} = {}", entry.value);
            let _ = writeln!(text, "{assignment:<44} # {}", entry.layer);
        }
        let _ = writeln!(text, "\n# credentials");
        for (name, source) in &self.credentials {
            let state = match source {
                Some(variable) => format!("set, by {variable}"),
                None => "not set".to_owned(),
            };
            let _ = writeln!(text, "# {name}: {state}");
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "# warning: {warning}");
        }
        text
    }

    fn json(&self) -> String {
        let settings: Map<String, Value> = self
            .entries
            .iter()
            .map(|entry| {
                let shown = json!({ "value": entry.value, "layer": entry.layer });
                (entry.key.clone(), shown)
            })
            .collect();
        let credentials: Map<String, Value> = self
            .credentials
            .iter()
            .map(|(name, source)| {
                let state = if source.is_some() { "set" } else { "not set" };
                ((*name).to_owned(), json!({ "state": state, "variable": source }))
            })
            .collect();
        let report = json!({
            "settings": settings,
            "credentials": credentials,
            "warnings": self.warnings,
        });
        format!("{report:#}\n")
    }
}
