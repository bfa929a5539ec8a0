//! Whom the gateway trusts when it calls: seen at an issuer of tokens who has a certificate of an
//! authority that no system knows.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::access::{signed, with_tokens};
use crate::support::issuer::{Issuer, claims, key_set};
use crate::support::{Form, TestGateway};

fn key_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)
}

/// An https host that answers every request with the issuer's keys; its URL.
pub(crate) fn host(issuer: &Issuer) -> String {
    let certificate = CertificateDer::from_pem_file(key_file("tls-localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(key_file("tls-localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (config, set) = (Arc::new(config), key_set(&[issuer]).to_string());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/jwks.json", listener.local_addr().unwrap().port());
    // Ends with the tests' process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut request = [0; 4096];
            // A client that does not trust us is gone by now.
            if stream.read(&mut request).is_ok() {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", set.len());
                let _ = stream.write_all(format!("{head}{set}").as_bytes());
            }
        }
    });
    url
}

#[test]
fn an_authority_is_trusted_where_the_settings_name_it_and_not_else() {
    let issuer = Issuer::ec();
    let url = host(&issuer);
    let authority = key_file("tls-authority.pem").to_str().unwrap().to_owned();
    let token = issuer.token(&claims("guest-1", "c-1"));
    let form = || Form::sample().without("conversation_id").without("sender_id");
    let trusting = with_tokens()
        .settings(|s| s.auth.jwt_key_set = Some(url.clone()))
        .settings(|s| s.tls.ca_file = Some(authority))
        .start();
    trusting.send(&signed(form(), &token)).receipt(201);
    let strange = with_tokens().settings(|s| s.auth.jwt_key_set = Some(url)).start();
    strange.send(&signed(form(), &token)).problem(401, "unauthorized");
}

#[test]
fn a_file_without_authorities_keeps_the_gateway_from_starting() {
    for name in ["rsa-2048.pk8", "nothing.pem", "tls-localhost.key"] {
        let path = key_file(name).to_str().unwrap().to_owned();
        let builder = TestGateway::builder().settings(|s| s.tls.ca_file = Some(path));
        let refusal = builder.try_start().err().expect("no start");
        assert!(refusal.contains("tls.ca_file") && refusal.contains(name), "{refusal}");
    }
}
