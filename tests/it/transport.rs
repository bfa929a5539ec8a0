//! The real transport against answers of every shape.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use voicepost::clock::Clock;
use voicepost::genesys::http::{HttpLimits, HttpTransport};
use voicepost::genesys::tls;
use voicepost::genesys::transport::{Call, CallName, Called, Method, Transport};
use voicepost::telemetry::Metrics;

/// A call to a server that answers so and closes the connection.
fn answered(answer: &'static str) -> Called {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        connection.write_all(answer.as_bytes()).unwrap();
    });
    let limits = HttpLimits {
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(5),
        connections_max: 1,
    };
    let (name, method, body) = (CallName::Delete, Method::Delete, Bytes::new());
    let call = Call { name, method, url, headers: Vec::new(), due_at: None, body };
    let called = actix_rt::System::new().block_on(async move {
        let tls = tls::client_config(None).unwrap();
        HttpTransport::new(limits, tls, Clock::system(), Metrics::new()).call(call).await
    });
    server.join().unwrap();
    called
}

/// The client takes a body for whole that broke off, whatever length its head tells.
#[test]
fn an_answer_that_broke_off_is_told_from_one_that_ended() {
    for (answer, may_be_cut_off) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"mediaId\"", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\n\r\n{\"mediaId\"", true),
    ] {
        let told = match answered(answer) {
            Called::Answered(answer) => Some(answer.may_be_cut_off),
            Called::Unknown(_) => None,
            Called::NotSent(failure) => panic!("{failure:?}"),
        };
        // A lost answer is as good where it broke off.
        assert!(told == Some(may_be_cut_off) || (may_be_cut_off && told.is_none()), "{answer:?}");
    }
}
