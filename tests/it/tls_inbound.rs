//! TLS inbound: what is spoken, what is shown, how it is renewed, and who is sent away.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use crate::access::{signed, with_tokens};
use crate::support::issuer::guest;
use crate::support::{Builder, Form, Reply, Request, TestGateway, eventually, fixture, logged};

fn key_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)
}

/// A gateway that shows the certificate of this name; its files are copies in its own folder.
pub(crate) fn shows(builder: Builder, name: &str) -> Builder {
    let folder = builder.data().to_owned();
    install(&folder, name, name);
    let path = |name: &str| Some(folder.join(name).to_str().unwrap().to_owned());
    let (certificate, key) = (path("cert.pem"), path("cert.key"));
    builder.settings(|s| s.tls.cert_file = certificate).settings(|s| s.tls.key_file = key)
}

fn install(folder: &Path, certificate: &str, key: &str) {
    std::fs::copy(key_file(&format!("{key}.key")), folder.join("cert.key")).unwrap();
    std::fs::copy(key_file(&format!("{certificate}.pem")), folder.join("cert.pem")).unwrap();
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

/// A connection of a client that trusts the tests' authorities; `Err`: the handshake failed.
fn connect(
    address: SocketAddr,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> std::io::Result<Connection> {
    let mut roots = RootCertStore::empty();
    for name in ["tls-authority.pem", "tls-renewed.pem"] {
        roots.add(CertificateDer::from_pem_file(key_file(name)).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    while client.is_handshaking() {
        client.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(client, stream))
}

fn ask(connection: &mut Connection, request: &Request) -> Reply {
    connection.write_all(&request.to_bytes()).unwrap();
    Reply::read(connection)
}

fn both() -> Builder {
    let apart = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    shows(with_tokens(), "tls-localhost").settings(|s| s.public.listen = Some(apart))
}

#[test]
fn senders_and_strangers_speak_tls_and_operators_on_loopback_do_not() {
    let gateway = both().start();
    let public = gateway.public.address();
    let form = |name: &str| {
        let form = Form::empty().file("a.ogg", fixture("hello.ogg"));
        signed(form, &guest(name, "c-1")).request()
    };
    for (version, spoken) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut connection = connect(public, &[version], &["h2", "http/1.1"]).unwrap();
        assert_eq!(connection.conn.protocol_version(), Some(spoken));
        assert_eq!(connection.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
        ask(&mut connection, &form("guest-1")).receipt(201);
    }
    let outside = gateway.outside.as_ref().unwrap().address();
    let mut connection = connect(outside, &[&TLS13], &[]).unwrap();
    ask(&mut connection, &Request::new("GET", "/livez")).problem(404, "route-not-found");
    assert_eq!(gateway.admin.get("/livez").status, 200);
}

#[test]
fn a_crowd_over_tls_is_read_as_one_without() {
    let gateway = both().settings(|s| s.quota.address_per_minute = 0).start();
    let address = gateway.public.address();
    let clip = fixture("hello.ogg");
    // More than are read freely by one worker.
    std::thread::scope(|scope| {
        for number in 0..70 {
            let clip = clip.clone();
            scope.spawn(move || {
                let name = format!("guest-{number}");
                let form = Form::empty().file("a.ogg", clip);
                let request = signed(form, &guest(&name, &name)).request();
                let mut connection = connect(address, &[&TLS13], &[]).unwrap();
                let bytes = request.to_bytes();
                for piece in bytes.chunks(5_000) {
                    connection.write_all(piece).unwrap();
                }
                Reply::read(&mut connection).receipt(201);
            });
        }
    });
    assert_eq!(gateway.records().len(), 70);
}

#[test]
fn what_is_no_tls_of_today_is_sent_away() {
    let gateway = both().settings(|s| s.server.head_seconds_max = 1).start();
    let address = gateway.public.address();
    let answered = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    let plain = answered(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!plain.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&plain));
    // An alert (RFC 8446 §6): fatal, `protocol_version`.
    assert_eq!(answered(&client_hello([3, 2])), [21, 3, 3, 0, 2, 2, 70], "TLS 1.1");
    assert_eq!(answered(&client_hello([3, 1])), [21, 3, 3, 0, 2, 2, 70], "TLS 1.0");
    let begun = Instant::now();
    assert_eq!(answered(b""), [0; 0], "silence");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    // Who can speak HTTP/2 only is told so in the handshake.
    let refused = connect(address, &[&TLS13], &["h2"]).expect_err("no handshake");
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

/// The first message of a client that knows no version after this one (RFC 5246 §7.4.1.2).
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    let mut hello = version.to_vec();
    hello.extend([7; 32]);
    // No session; one suite, ECDHE-ECDSA with AES-128-CBC; no compression.
    hello.extend([0, 0, 2, 0xc0, 0x09, 1, 0]);
    // Groups: secp256r1. Signatures: ECDSA with SHA-256.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
    hello.extend([0, extensions.len() as u8]);
    hello.extend(extensions);
    let mut message = vec![1, 0, 0, hello.len() as u8];
    message.extend(hello);
    let mut record = vec![22, 3, 1, 0, message.len() as u8];
    record.extend(message);
    record
}

#[test]
fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
    let gateway = shows(with_tokens(), "tls-localhost").start();
    let address = gateway.public.address();
    let der = |name: &str| CertificateDer::from_pem_file(key_file(name)).unwrap();
    let shown = || {
        let connection = connect(address, &[&TLS13], &[]).unwrap();
        connection.conn.peer_certificates().unwrap()[0].clone().into_owned()
    };
    assert_eq!(shown(), der("tls-localhost.pem"));
    let mut before = connect(address, &[&TLS13], &[]).unwrap();
    install(gateway.data.path(), "tls-renewed", "tls-renewed");
    eventually("the renewed one is shown", || (shown() == der("tls-renewed.pem")).then_some(()));
    // Who is there already goes on.
    ask(&mut before, &Request::new("GET", "/livez")).receipt(200);
    install(gateway.data.path(), "tls-localhost", "tls-renewed");
    eventually("it is logged", || {
        logged().contains("the certificate stays as it was").then_some(())
    });
    assert_eq!(shown(), der("tls-renewed.pem"));
    install(gateway.data.path(), "tls-localhost", "tls-localhost");
    eventually("the next one is shown", || (shown() == der("tls-localhost.pem")).then_some(()));
}

#[test]
fn files_that_are_no_certificate_are_named() {
    let refused = |certificate: &str, key: &str| {
        let path = |name: &str| Some(key_file(name).to_str().unwrap().to_owned());
        let (certificate, key) = (path(certificate), path(key));
        let builder = TestGateway::builder().settings(|s| s.tls.cert_file = certificate);
        builder.settings(|s| s.tls.key_file = key).try_start().err().expect("no start")
    };
    for (certificate, key, words) in [
        ("nothing.pem", "tls-localhost.key", ["tls.cert_file", "nothing.pem"]),
        ("tls-localhost.pem", "nothing.key", ["tls.key_file", "nothing.key"]),
        ("tls-localhost.key", "tls-localhost.key", ["tls.cert_file", "no certificate"]),
        ("tls-localhost.pem", "tls-localhost.pem", ["tls.key_file", "no private key"]),
        ("tls-localhost.pem", "tls-renewed.key", ["tls.cert_file", "not with"]),
    ] {
        let refusal = refused(certificate, key);
        assert!(words.iter().all(|word| refusal.contains(word)), "{words:?}: {refusal}");
    }
    let half = TestGateway::builder().settings(|s| s.tls.cert_file = Some("cert.pem".to_owned()));
    let refusal = half.try_start().err().expect("no start");
    assert!(refusal.contains("tls.key_file"), "{refusal}");
}
