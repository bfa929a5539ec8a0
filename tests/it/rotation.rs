//! Secrets are replaced while the gateway runs: by the files that variables name, or by those of
//! systemd.

use voicepost::domain::RouteName;

use crate::process::{Answer, Gateway, World, wait_until};
use crate::replies::signature;
use crate::sender::{exchange, request};
use crate::support::issuer::{AUDIENCE, Issuer, claims};

const OLD: &str = "the-old-shared-secret-of-enough-bytes";
const NEW: &str = "the-new-shared-secret-of-enough-bytes";
const PATH: &str = "/v1/voice-messages/019aa6c2-7f31-7c55-9d0e-3b1f6a2c4e88";
const REFRESH: &str = "/admin/token/refresh";

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// The status for a guest whose token is signed with this secret.
fn as_guest(gateway: &Gateway, secret: &str) -> u16 {
    let token = Issuer::Shared(secret.into()).token(&claims("guest-1", "c-1"));
    exchange(gateway.public, &request("GET", PATH, &bearer(&token), b"")).unwrap().status
}

fn as_operator(gateway: &Gateway, method: &str, path: &str, key: &str) -> Answer {
    exchange(gateway.admin, &request(method, path, &bearer(key), b"")).unwrap()
}

#[test]
fn the_secret_of_tokens_is_replaced_without_a_moment_in_which_none_is_good() {
    let world = World::new(&[("AUTH__JWT_AUDIENCE", AUDIENCE)]);
    let path = world.write("jwt-secret", OLD);
    let world = world.variable("VOICEPOST_JWT_SECRET_FILE", Some(&path));
    let gateway = world.start();
    assert_eq!((as_guest(&gateway, OLD), as_guest(&gateway, NEW)), (404, 401));
    world.write("jwt-secret", &format!("{NEW}\n{OLD}\n"));
    wait_until("the new secret counts", || as_guest(&gateway, NEW) == 404);
    assert_eq!(as_guest(&gateway, OLD), 404, "the old one counts beside it");
    // What cannot be a secret changes nothing.
    world.write("jwt-secret", "short\n");
    wait_until("it is logged", || gateway.said().contains("a secret stays as it was"));
    assert!(gateway.said().contains("has 5 bytes, less than the minimum of 32"));
    assert_eq!(as_guest(&gateway, NEW), 404);
    world.write("jwt-secret", NEW);
    wait_until("the old secret is gone", || as_guest(&gateway, OLD) == 401);
    assert_eq!(as_guest(&gateway, NEW), 404);
    for secret in [OLD, NEW] {
        assert!(!gateway.said().contains(secret), "{}", gateway.said());
    }
}

#[test]
fn the_client_secret_and_the_operators_key_are_replaced_too() {
    let world = World::new(&[]);
    let (client, admin) = (
        world.write("client-secret", "sandbox-secret\n"),
        world.write("admin-key", "operators-first-key"),
    );
    let world = world
        .variable("GENESYS_CLIENT_SECRET", None)
        .variable("GENESYS_CLIENT_SECRET_FILE", Some(&client))
        .variable("VOICEPOST_ADMIN_KEY_FILE", Some(&admin));
    let gateway = world.start();
    let refresh = |key: &str| as_operator(&gateway, "POST", REFRESH, key).status;
    assert_eq!((refresh("operators-first-key"), refresh("operators-second-key")), (200, 401));
    world.write("admin-key", "operators-second-key");
    wait_until("the new key counts", || refresh("operators-second-key") == 200);
    assert_eq!(refresh("operators-first-key"), 401);
    world.write("client-secret", "a-secret-that-genesys-does-not-know");
    wait_until("the next exchange takes it", || refresh("operators-second-key") != 200);
    world.write("client-secret", "sandbox-secret");
    wait_until("the one after that is granted", || refresh("operators-second-key") == 200);
    std::fs::remove_file(&client).unwrap();
    let kept = || gateway.said().contains("a secret stays as it was");
    wait_until("what is gone is logged", kept);
    assert_eq!(refresh("operators-second-key"), 200, "and the secret is kept");
    assert!(!gateway.said().contains("a-secret-that-genesys-does-not-know"));
}

/// The status for a call of the webhook that is signed with this secret.
fn as_genesys(gateway: &Gateway, secret: &str) -> u16 {
    let signature = format!("X-Hub-Signature-256: {}\r\n", signature(secret, b"{}"));
    let call = request("POST", "/webhooks/open-messaging", &signature, b"{}");
    exchange(gateway.public, &call).unwrap().status
}

#[test]
fn a_secret_that_can_be_guessed_takes_no_ones_place() {
    const FIRST: &str = "the-first-secret-of-all";
    let world = World::on(RouteName::OpenMessaging, &[]);
    let files =
        [("VOICEPOST_WEBHOOK_SECRET_FILE", "webhook"), ("VOICEPOST_ADMIN_KEY_FILE", "admin")];
    let world = files.into_iter().fold(world, |world, (variable, name)| {
        let path = world.write(name, FIRST);
        world.variable(variable, Some(&path))
    });
    let gateway = world.start();
    let state = |key: &str| as_operator(&gateway, "GET", "/admin/state", key).status;
    for (variable, name) in files {
        world.write(name, "fifteen-bytes--\n");
        let told = format!("{variable} has 15 bytes, less than the minimum of 16");
        wait_until("it is told", || gateway.said().contains(&told));
    }
    assert_eq!((as_genesys(&gateway, FIRST), as_genesys(&gateway, "fifteen-bytes--")), (200, 401));
    assert_eq!((state(FIRST), state("fifteen-bytes--")), (200, 401));
    // One of several that is too short spoils them all.
    world.write("webhook", "the-second-secret-of-all\nshort\n");
    crate::support::pause(std::time::Duration::from_millis(1500));
    assert_eq!(as_genesys(&gateway, "the-second-secret-of-all"), 401);
    world.write("webhook", "the-second-secret-of-all\n");
    wait_until("the next counts", || as_genesys(&gateway, "the-second-secret-of-all") == 200);
    assert_eq!(as_genesys(&gateway, FIRST), 401);
}

#[test]
fn systemd_hands_secrets_over_in_a_directory() {
    let world = World::new(&[]);
    world.write("GENESYS_CLIENT_SECRET", "sandbox-secret\n");
    world.write("VOICEPOST_ADMIN_KEY", "operators-key-of-systemd\n");
    let directory = world.data.path().to_str().unwrap().to_owned();
    let world = world
        .variable("GENESYS_CLIENT_SECRET", None)
        .variable("CREDENTIALS_DIRECTORY", Some(&directory));
    let gateway = world.start();
    let state = |key: &str| as_operator(&gateway, "GET", "/admin/state", key).status;
    assert_eq!((state("operators-key-of-systemd"), state("x")), (200, 401));
}

#[test]
fn a_start_warns_of_files_of_secrets_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new(&[("AUTH__JWT_AUDIENCE", AUDIENCE)]);
    let (open, closed) = (world.write("open", OLD), world.write("closed", NEW));
    for (path, mode) in [(&open, 0o644), (&closed, 0o640)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let world = world
        .variable("VOICEPOST_JWT_SECRET_FILE", Some(&open))
        .variable("VOICEPOST_ADMIN_KEY_FILE", Some(&closed));
    let said = world.start().said();
    let warned: Vec<&str> = said.lines().filter(|line| line.contains("others may read")).collect();
    assert_eq!(warned.len(), 1, "{said}");
    assert!(warned[0].contains("WARN") && warned[0].contains("VOICEPOST_JWT_SECRET"), "{warned:?}");
    assert!(warned[0].contains(&open) && !warned[0].contains(OLD), "{warned:?}");
}
