//! Settings: the manual and the types agree, layers lie in order, and what is wrong is said with
//! key, value, limit and place.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use voicepost::domain::{AudioLimits, RouteName};
use voicepost::settings::{
    AccessSecrets, Credentials, Environment, Layers, LedgerUrl, LogFormat, OnUnknown, Secret,
    Settings, SettingsError, UploadBody,
};

type Variables<'a> = &'a [(&'a str, &'a str)];

fn environment(variables: Variables<'_>) -> Environment {
    variables.iter().copied().collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("a temporary file can be written");
    file
}

fn with(variables: Variables<'_>) -> Result<Settings, SettingsError> {
    Settings::load_from(None, &environment(variables))
}

/// The message of the refusal that the given variables lead to.
fn refusal(variables: Variables<'_>) -> String {
    with(variables).expect_err("a refusal").to_string()
}

fn refusal_of_file(text: &str) -> (String, PathBuf) {
    let file = file(text);
    let error = Settings::load_from(Some(file.path()), &Environment::default());
    (error.expect_err("a refusal").to_string(), file.path().to_owned())
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}

#[test]
fn defaults_load() {
    let settings = Settings::default();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.admin.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(settings.genesys.route, None);
    assert_eq!(settings.genesys.login_url(), "https://login.my.genesys.cloud");
    assert_eq!(settings.genesys.api_url(), "https://api.my.genesys.cloud");
    assert_eq!(settings.genesys.media_api.upload_body, UploadBody::Raw);
    assert_eq!(settings.delivery.on_unknown, OnUnknown::Repeat);
    assert_eq!(settings.delivery.backoff().pause_ms_min, 2_000);
    assert_eq!(settings.delivery.later_backoff().pause_ms_max, 60_000);
    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.ledger.url, LedgerUrl::Sqlite(PathBuf::from("data/voicepost.db")));
    let limits = AudioLimits {
        duration_ms_max: 60_000,
        duration_ms_grace: 500,
        duration_ms_min: 100,
        bytes_max: 12 * 1024 * 1024,
    };
    assert_eq!(settings.limits.audio(), limits);
    assert_eq!(settings.check().unwrap(), []);
}

/// Every key can be set by itself, which shows that the type has it; that `config.toml` has all
/// keys of the types is shown by its loading at all, because no field has another default.
#[test]
fn every_key_of_the_manual_is_read() {
    let entries = Layers::read(None, &Environment::default()).unwrap().entries();
    assert!(entries.len() > 40, "only {} keys", entries.len());
    for entry in entries {
        let name = format!("VOICEPOST__{}", entry.key.replace('.', "__").to_ascii_uppercase());
        let unreadable = "x".repeat(5000);
        let unchanged = format!("{:?}", Settings::default());
        // Either the odd value is refused under this key, or it shows up in the settings.
        match with(&[(&name, &unreadable)]) {
            Ok(settings) => assert_ne!(format!("{settings:?}"), unchanged, "{}", entry.key),
            Err(error) => assert_says(&error.to_string(), &[&entry.key, "(environment)"]),
        }
    }
}

/// Every key stands right below its explanation, and no explanation is missing.
#[test]
fn every_key_of_the_manual_is_explained() {
    let manual = include_str!("../../config.toml");
    let mut previous = "";
    for line in manual.lines() {
        if line.contains(" = ") && !line.starts_with('#') || line.starts_with('[') {
            assert!(previous.starts_with("# "), "{line:?} has no explanation above it");
        }
        previous = line;
    }
    let keys: BTreeSet<String> = Layers::read(None, &Environment::default())
        .unwrap()
        .entries()
        .into_iter()
        .map(|e| e.key)
        .collect();
    let lines = manual.lines().filter(|line| line.contains(" = ") && !line.starts_with('#'));
    assert_eq!(keys.len(), lines.count(), "a key of config.toml stands twice, or is not read");
}

#[test]
fn layers_lie_in_order() {
    let file = file("[server]\nwait_seconds = 7\nworkers = 3\n[genesys]\nroute = \"media-api\"\n");
    let variables = environment(&[
        ("VOICEPOST__SERVER__WAIT_SECONDS", "5"),
        ("VOICEPOST__GENESYS__MEDIA_API__UPLOAD_BODY", "multipart"),
        ("VOICEPOST__TRANSCRIPT__PLACEHOLDER", "12345"),
        ("VOICEPOST_PORT", "tcp://10.0.0.1:80"),
    ]);
    let layers = Layers::read(Some(file.path()), &variables).unwrap();
    let settings = layers.settings().unwrap();
    assert_eq!(settings.server.wait_seconds, 5);
    assert_eq!(settings.server.workers, 3);
    assert_eq!(settings.server.wait_seconds_max, 60);
    assert_eq!(settings.route().unwrap(), RouteName::MediaApi);
    assert_eq!(settings.genesys.media_api.upload_body, UploadBody::Multipart);
    assert_eq!(settings.transcript.placeholder, "12345", "digits stay a text where one is due");

    let layer =
        |key: &str| layers.entries().into_iter().find(|entry| entry.key == key).unwrap().layer;
    assert_eq!(layer("server.wait_seconds"), "environment");
    assert_eq!(layer("server.workers"), format!("file {}", file.path().display()));
    assert_eq!(layer("server.wait_seconds_max"), "default");
}

#[test]
fn an_empty_variable_unsets_what_a_file_sets() {
    let file = file("[genesys]\nroute = \"media-api\"\napi_url = \"http://127.0.0.1:9\"\n");
    let variables =
        environment(&[("VOICEPOST__GENESYS__ROUTE", ""), ("VOICEPOST__GENESYS__API_URL", "")]);
    let settings = Settings::load_from(Some(file.path()), &variables).unwrap();
    assert_eq!(settings.genesys.route, None);
    assert_eq!(settings.genesys.api_url(), "https://api.my.genesys.cloud");
}

#[test]
fn an_unknown_key_names_the_nearest_and_its_place() {
    let (message, path) = refusal_of_file("[server]\nlisen = \"127.0.0.1:1\"\n");
    assert_says(&message, &["server.lisen ", "server.listen", &path.display().to_string()]);
    let (message, _) = refusal_of_file("[limits]\nttl_seconds = 1\n");
    assert_says(&message, &["limits.ttl_seconds ", "purge.ttl_seconds"]);
    let (message, _) = refusal_of_file("[sevrer]\nworkers = 1\n[purge]\nttl_minutes = 1\n");
    assert_says(
        &message,
        &["sevrer.workers ", "server.workers", "purge.ttl_minutes ", "purge.ttl_seconds"],
    );
    let (message, _) = refusal_of_file("server = 3\n");
    assert_says(&message, &["server is a section"]);
    let (message, _) = refusal_of_file("[server.listen]\nport = 3\n");
    assert_says(&message, &["server.listen.port ", "server.listen"]);
    let message = refusal(&[("VOICEPOST__GENESYS__ROUT", "media-api")]);
    assert_says(
        &message,
        &["VOICEPOST__GENESYS__ROUT ", "VOICEPOST__GENESYS__ROUTE", "(environment)"],
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let missing = Path::new("/nonexistent/voicepost.toml");
    let error = Settings::load_from(Some(missing), &Environment::default()).unwrap_err();
    assert_says(&error.to_string(), &["/nonexistent/voicepost.toml", "No such file"]);
    let (message, path) = refusal_of_file("[server]\nlisten = \n");
    assert_says(&message, &[&path.display().to_string(), "line 2"]);
}

#[test]
fn wrong_types_name_key_and_value() {
    let message = refusal(&[("VOICEPOST__SERVER__WORKERS", "many")]);
    assert_says(&message, &["server.workers is \"many\"", "whole number", "(environment)"]);
    let message = refusal(&[("VOICEPOST__SERVER__WORKERS", "-1")]);
    assert_says(&message, &["server.workers is -1, where a whole number from 0 is due"]);
    let message = refusal(&[("VOICEPOST__LEDGER__KEEP_DAYS", "4294967296")]);
    assert_says(&message, &["ledger.keep_days is 4294967296", "4294967295"]);
    let (message, _) = refusal_of_file("[log]\nfilter = 3\n");
    assert_says(&message, &["log.filter is 3", "text"]);
    let (message, _) = refusal_of_file("[server]\nlisten = \"localhost:80\"\n");
    assert_says(&message, &["server.listen", "localhost:80", "socket address"]);
    let message = refusal(&[("VOICEPOST__GENESYS__ROUTE", "mediapi")]);
    assert_says(&message, &["genesys.route", "mediapi", "media-api"]);
    let message = refusal(&[("VOICEPOST__DELIVERY__ON_UNKNOWN", "drop")]);
    assert_says(&message, &["delivery.on_unknown", "drop", "repeat, hold"]);
    for url in ["postgres://x", "sqlite:", "sqlite::memory:"] {
        assert_says(&refusal(&[("VOICEPOST__LEDGER__URL", url)]), &["ledger.url", url]);
    }
}

#[test]
fn values_out_of_range_name_limit_and_value() {
    let cases = [
        ("SERVER__WAIT_SECONDS_MAX", "61", &["server.wait_seconds_max", "61", "60"][..]),
        ("SERVER__WAIT_SECONDS", "61", &["server.wait_seconds is 61", "60"]),
        ("SERVER__REQUESTS_MAX", "0", &["server.requests_max", "0", "1"]),
        ("DELIVERY__PAUSE_MS_MIN", "10001", &["delivery.pause_ms_min", "10001", "10000"]),
        ("DELIVERY__MEDIA_URL_SECONDS_MAX", "901", &["901", "900"]),
        ("DELIVERY__ATTEMPTS", "0", &["delivery.attempts", "0", "1"]),
        ("PURGE__PAUSE_MS_MIN", "60001", &["purge.pause_ms_min", "60001", "60000"]),
        ("LIMITS__DURATION_MS_MIN", "60001", &["60001", "60000"]),
        ("TRANSCRIPT__PLACEHOLDER", "  ", &["transcript.placeholder", "blank"]),
        ("GENESYS__DOMAIN", "https://x", &["genesys.domain", "https://x"]),
        ("GENESYS__API_URL", "ftp://x", &["genesys.api_url", "ftp://x", "https://"]),
        ("GENESYS__API_URL", "http://x:99999", &["genesys.api_url", "99999"]),
        ("GENESYS__LOGIN_URL", "https://", &["genesys.login_url"]),
        ("LOG__FILTER", "info,=", &["log.filter"]),
        ("SPOOL__DIR", "", &["spool.dir", "empty"]),
    ];
    for (name, value, parts) in cases {
        let message = refusal(&[(&format!("VOICEPOST__{name}"), value)]);
        assert_says(&message, parts);
        assert_says(&message, &["(environment)"]);
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let message =
        refusal(&[("VOICEPOST__SERVER__REQUESTS_MAX", "0"), ("VOICEPOST__PURGE__CALLS_MAX", "0")]);
    assert_eq!(message.lines().count(), 2, "{message}");
}

fn none() -> AccessSecrets {
    AccessSecrets::default()
}

#[test]
fn nothing_listens_beyond_loopback_without_authentication() {
    let key = AccessSecrets { admin_key: Some(Secret::new("0123456789abcdef").into()), ..none() };
    for address in ["0.0.0.0:8080", "192.0.2.1:8080", "[::]:8080"] {
        let public = ("VOICEPOST__SERVER__LISTEN", address);
        assert_says(&refusal(&[public]), &[address, "loopback", "auth.keys_file"]);
        for known in ["VOICEPOST__AUTH__KEYS_FILE", "VOICEPOST__AUTH__JWT_AUDIENCE"] {
            assert!(with(&[public, (known, "x")]).is_ok());
        }
        let admin = with(&[("VOICEPOST__ADMIN__LISTEN", address)]).unwrap();
        let message = admin.check_access(&none()).unwrap_err().to_string();
        assert_says(&message, &[address, "loopback", "VOICEPOST_ADMIN_KEY"]);
        assert!(admin.check_access(&key).is_ok());
    }
    for name in ["SERVER", "ADMIN"] {
        let variable = format!("VOICEPOST__{name}__LISTEN");
        assert!(with(&[(&variable, "[::1]:9000")]).unwrap().check_access(&none()).is_ok());
    }
    let message = refusal(&[("VOICEPOST__ADMIN__LISTEN", "127.0.0.1:8080")]);
    assert_says(&message, &["admin.listen", "server.listen", "127.0.0.1:8080"]);
    let free =
        [("VOICEPOST__ADMIN__LISTEN", "127.0.0.1:0"), ("VOICEPOST__SERVER__LISTEN", "127.0.0.1:0")];
    assert!(with(&free).is_ok());
}

#[test]
fn what_is_seldom_meant_is_warned_about() {
    let warned = |name: &str, value: &str| {
        let warnings = with(&[(name, value)]).unwrap().check().unwrap();
        warnings.iter().map(|warning| warning.to_string()).collect::<Vec<_>>().join("\n")
    };
    assert_says(&warned("VOICEPOST__PURGE__DELAY_SECONDS_MIN", "29"), &["29", "30"]);
    assert_says(&warned("VOICEPOST__GENESYS__API_URL", "http://192.0.2.1"), &["unencrypted"]);
    assert_says(&warned("VOICEPOST__GENESYS__CONNECTIONS_MAX", "40"), &["40", "time out"]);
    assert_eq!(warned("VOICEPOST__PURGE__DELAY_SECONDS_MIN", "30"), "");
    assert_eq!(warned("VOICEPOST__GENESYS__API_URL", "http://127.0.0.1:9090"), "");
    assert_eq!(warned("VOICEPOST__GENESYS__API_URL", "http://[::1]:9090"), "");
}

#[test]
fn base_urls_lose_their_last_slash() {
    let settings = with(&[
        ("VOICEPOST__GENESYS__API_URL", "http://127.0.0.1:9090/"),
        ("VOICEPOST__GENESYS__DOMAIN", "mypurecloud.de"),
    ])
    .unwrap();
    assert_eq!(settings.genesys.api_url(), "http://127.0.0.1:9090");
    assert_eq!(settings.genesys.login_url(), "https://login.mypurecloud.de");
}

#[test]
fn without_a_route_the_routes_are_named() {
    let error = Settings::default().route().unwrap_err();
    assert_says(&error.to_string(), &["genesys.route", "media-api"]);
}

#[test]
fn a_url_with_a_password_is_refused_and_not_repeated() {
    let message = refusal(&[("VOICEPOST__GENESYS__API_URL", "https://me:hunter2@example.com")]);
    assert_says(&message, &["genesys.api_url", "password"]);
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn credentials_come_from_variables_or_files() {
    let secret_file = file("s3cret \n");
    let credentials = Credentials::load_from(&environment(&[
        ("GENESYS_CLIENT_ID", "me"),
        ("GENESYS_CLIENT_SECRET_FILE", secret_file.path().to_str().unwrap()),
    ]))
    .unwrap();
    assert_eq!(credentials.client_id, "me");
    assert_eq!(
        credentials.client_secret.current().expose(),
        "s3cret ",
        "only one newline is cut off"
    );
}

#[test]
fn unusable_credentials_name_the_variable() {
    let empty = file("\n");
    let empty = empty.path().to_str().unwrap();
    let id = ("GENESYS_CLIENT_ID", "me");
    let cases: [(Variables<'_>, &[&str]); 6] = [
        (&[], &["GENESYS_CLIENT_ID is not set", "GENESYS_CLIENT_ID_FILE"]),
        (&[id], &["GENESYS_CLIENT_SECRET is not set"]),
        (&[id, ("GENESYS_CLIENT_SECRET", "")], &["GENESYS_CLIENT_SECRET is empty"]),
        (&[id, ("GENESYS_CLIENT_SECRET_FILE", empty)], &["GENESYS_CLIENT_SECRET_FILE", "is empty"]),
        (&[id, ("GENESYS_CLIENT_SECRET_FILE", "/nonexistent")], &["_SECRET_FILE", "/nonexistent"]),
        (
            &[id, ("GENESYS_CLIENT_SECRET", "hunter2"), ("GENESYS_CLIENT_SECRET_FILE", empty)],
            &["GENESYS_CLIENT_SECRET is set", "only one"],
        ),
    ];
    for (variables, parts) in cases {
        let message = Credentials::load_from(&environment(variables)).unwrap_err().to_string();
        assert_says(&message, parts);
        assert!(!message.contains("hunter2"), "{message}");
    }
}

/// Each secret with the fewest bytes it may have, and how many may be good at a time.
const SECRETS: [(&str, usize, usize); 4] = [
    ("VOICEPOST_JWT_SECRET", 32, 4),
    ("VOICEPOST_ADMIN_KEY", 16, 1),
    ("VOICEPOST_WEBHOOK_SECRET", 16, 4),
    ("VOICEPOST_DATA_KEY", 32, 4),
];

#[test]
fn a_secret_that_can_be_guessed_is_refused_wherever_it_comes_from() {
    for (name, bytes_min, lines_max) in SECRETS {
        let load = |value: &str| AccessSecrets::load_from(&environment(&[(name, value)]));
        let of = |bytes: usize| "x".repeat(bytes);
        assert!(load(&of(bytes_min)).is_ok(), "{name}");
        let short = load(&of(bytes_min - 1)).unwrap_err().to_string();
        let bytes = format!("has {} bytes", bytes_min - 1);
        assert_says(&short, &[name, &bytes, &format!("minimum of {bytes_min}")]);
        assert!(load(&" ".repeat(bytes_min)).is_err(), "{name}: spaces");
        let lines = |lines: usize| vec![of(bytes_min); lines].join("\n");
        assert!(load(&lines(lines_max)).is_ok(), "{name}");
        let many = load(&lines(lines_max + 1)).unwrap_err().to_string();
        assert_says(&many, &[name, &format!("maximum of {lines_max}")]);
        assert!(load(&format!("{}\n\n{}", of(bytes_min), of(bytes_min))).is_err(), "{name}: blank");
        let file = file(&of(bytes_min - 1));
        let variable = format!("{name}_FILE");
        let path = [(variable.as_str(), file.path().to_str().unwrap())];
        let short = AccessSecrets::load_from(&environment(&path)).unwrap_err().to_string();
        assert_says(&short, &[&variable, &bytes]);
    }
}

#[test]
fn a_secret_is_never_shown() {
    let variables =
        environment(&[("GENESYS_CLIENT_ID", "me"), ("GENESYS_CLIENT_SECRET", "hunter2")]);
    let credentials = Credentials::load_from(&variables).unwrap();
    let secret = Secret::new("hunter2");
    for shown in [
        format!("{credentials:?}"),
        format!("{credentials:#?}"),
        format!("{variables:?}"),
        format!("{secret:?}{secret}"),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn the_environment_says_true_and_false() {
    for (text, wanted) in [("false", false), ("true", true)] {
        let settings = with(&[("VOICEPOST__AUDIO__WAVEFORMS", text)]).unwrap();
        assert_eq!(settings.audio.waveforms, wanted);
    }
    let error = refusal(&[("VOICEPOST__AUDIO__WAVEFORMS", "no")]);
    assert!(error.contains("audio.waveforms is \"no\", where a boolean is due"), "{error}");
}
