//! The secrets there are, and what each has to be: at the start, for `doctor` and `check-config`,
//! and when a file is written anew while the gateway runs.

use super::{Secret, SettingsError};

/// One of the secrets.
#[derive(Debug)]
pub(super) struct SecretKind {
    /// The variable that holds it.
    pub(super) name: &'static str,
    /// Least bytes of each line, spaces around it apart.
    bytes_min: usize,
    /// How many there may be, each on a line of its own, while one takes another's place.
    lines_max: usize,
}

/// The OAuth client; how long its id and secret are is Genesys' affair.
pub(super) static CLIENT_ID: SecretKind = kind("GENESYS_CLIENT_ID", 1, 1);
pub(super) static CLIENT_SECRET: SecretKind = kind("GENESYS_CLIENT_SECRET", 1, 1);
/// HS256: no shorter than its hash (RFC 7518 §3.2).
pub(super) static JWT_SECRET: SecretKind = kind("VOICEPOST_JWT_SECRET", 32, 4);
/// Whoever guesses it has to ask this gateway each time.
pub(super) static ADMIN_KEY: SecretKind = kind("VOICEPOST_ADMIN_KEY", 16, 1);
/// Open Messaging API: "longer than 15".
pub(super) static WEBHOOK_SECRET: SecretKind = kind("VOICEPOST_WEBHOOK_SECRET", 16, 4);
/// As base64 of 256 bits has more; it can be guessed at beside the disk.
pub(super) static DATA_KEY: SecretKind = kind("VOICEPOST_DATA_KEY", 32, 4);

/// Every one of them.
pub(super) static ALL: [&SecretKind; 6] =
    [&CLIENT_ID, &CLIENT_SECRET, &JWT_SECRET, &ADMIN_KEY, &DATA_KEY, &WEBHOOK_SECRET];

const fn kind(name: &'static str, bytes_min: usize, lines_max: usize) -> SecretKind {
    SecretKind { name, bytes_min, lines_max }
}

impl SecretKind {
    /// The secret, where it is as it has to be. `variable` is what the fault is told of.
    ///
    /// # Errors
    /// `Variable`, with value and limit, never the secret itself.
    pub(super) fn check(&self, variable: &str, secret: Secret) -> Result<Secret, SettingsError> {
        let SecretKind { bytes_min, lines_max, .. } = *self;
        let wrong = |what| Err(SettingsError::Variable { name: variable.to_owned(), what });
        let lines = secret.expose().lines().count();
        if lines > lines_max {
            return wrong(format!("has {lines} lines, more than the maximum of {lines_max}"));
        }
        let bytes = secret.expose().lines().map(|line| line.trim().len()).min().unwrap_or(0);
        if bytes < bytes_min {
            let on_a_line = if lines > 1 { " on a line" } else { "" };
            let least = format!("less than the minimum of {bytes_min}");
            return wrong(format!("has {bytes} bytes{on_a_line}, {least}"));
        }
        Ok(secret)
    }
}
