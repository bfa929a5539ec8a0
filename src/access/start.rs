//! Sets up who is asked what, as the settings say.

use std::sync::Arc;

use super::{Access, KeyFile, KeyFileError, KeyTable, Tokens, TokensError};
use crate::settings::{AccessSecrets, Auth};

/// Why callers cannot be told apart.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The API keys cannot be read.
    #[error("auth.keys_file: {0}")]
    Keys(#[from] KeyFileError),
    /// Tokens cannot be verified.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

impl Access {
    /// As these settings say. `tls` is for fetching an issuer's keys; `by_sub_alone`: a guest is
    /// known at Genesys by `sub`, so that only one issuer may name guests. Must run inside an
    /// actix system.
    ///
    /// # Errors
    /// When keys cannot be read or tokens not be verified.
    pub async fn start(
        settings: &Auth,
        secrets: &AccessSecrets,
        tls: &Arc<rustls::ClientConfig>,
        by_sub_alone: bool,
    ) -> Result<Access, AccessError> {
        let keys = match &settings.keys_file {
            Some(path) => Some(KeyTable::follow(KeyFile::at(path))?),
            None => None,
        };
        let tokens = match &settings.jwt_audience {
            Some(audience) => {
                let secret = secrets.jwt_secret.clone();
                Some(Tokens::start(settings, audience, secret, tls, by_sub_alone).await?)
            }
            None => None,
        };
        Ok(Access::new(keys, tokens))
    }
}
