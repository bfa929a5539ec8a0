//! What a test that runs on either route has to know of it: settings, calls, and where copies lie.

use std::path::Path;

use voicepost::domain::RouteName;
use voicepost::sandbox::{Endpoint, SandboxSettings};

/// Settings of the route, for data in this directory. Copies go after a second on each.
pub fn settings(route: RouteName, data: &Path) -> Vec<(&'static str, String)> {
    match route {
        RouteName::MediaApi => vec![("GENESYS__ROUTE", "media-api".to_owned())],
        RouteName::OpenMessaging => vec![
            ("GENESYS__ROUTE", "open-messaging".to_owned()),
            ("GENESYS__OPEN_MESSAGING__INTEGRATION_ID", SandboxSettings::default().integration_id),
            ("GENESYS__OPEN_MESSAGING__SERVE_SECONDS", "1".to_owned()),
            ("GENESYS__OPEN_MESSAGING__FILES_DIR", hosted(data).to_str().unwrap().to_owned()),
            ("PUBLIC__BASE_URL", "http://gateway".to_owned()),
        ],
    }
}

/// The media host's directory.
fn hosted(data: &Path) -> std::path::PathBuf {
    data.join("hosted")
}

/// Clips on the media host, by file name.
pub fn hosted_clips(data: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(hosted(data)) else { return Vec::new() };
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".clip")).collect()
}

/// The call that brings a message into its conversation.
pub fn post(route: RouteName) -> Endpoint {
    match route {
        RouteName::MediaApi => Endpoint::Post,
        RouteName::OpenMessaging => Endpoint::InboundMessage,
    }
}

/// Every call that each message needs, in the order of the first of each kind.
pub fn calls(route: RouteName) -> &'static [Endpoint] {
    match route {
        RouteName::MediaApi => {
            &[Endpoint::Upload, Endpoint::Post, Endpoint::Retention, Endpoint::Delete]
        }
        RouteName::OpenMessaging => {
            &[Endpoint::InboundMessage, Endpoint::CachedMedia, Endpoint::CachedMediaDelete]
        }
    }
}
