//! Attacks on the wire, each with its expected answer. Those on tokens are in `attacks_tokens`,
//! those of pages in `cors` and `admin_access`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::access::{bearer, signed, with_tokens};
use crate::support::issuer::guest;
use crate::support::{Contract, Form, Reply, fixture};

const SEND: &str = "POST /v1/voice-messages HTTP/1.1\r\nHost: localhost\r\n";
const FORM: &str = "Content-Type: multipart/form-data; boundary=b\r\n";
/// Hidden behind a request; answered, it went round whoever reads lengths otherwise.
const SMUGGLED: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What the gateway is to answer.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// This problem.
    Problem(u16, &'static str),
    /// The head cannot be read: this status, no body, and the end of the connection.
    Unreadable(u16),
}
use Expected::{Problem, Unreadable};

/// What is tried, the bytes, and what is answered.
type Attack = (&'static str, Vec<u8>, Expected);

fn authorization() -> String {
    format!("Authorization: {}\r\n", bearer(&guest("guest-1", "c-1")))
}

/// A request of a guest whose head has these lines, and what follows the head.
fn sent(lines: &str, rest: &str) -> Vec<u8> {
    format!("{SEND}{}{FORM}{lines}\r\n{rest}", authorization()).into_bytes()
}

/// A well framed request with this body, of the type `content_type`.
fn body(content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!(
        "{SEND}{}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n",
        authorization()
    );
    [head.as_bytes(), body].concat()
}

/// One part, with its head as given.
fn part(head: &str, content: &str) -> String {
    format!("--b\r\n{head}\r\n\r\n{content}\r\n")
}

/// Two ways to read where a request ends (RFC 9112 §6.3, §11.2).
fn smuggling() -> Vec<Attack> {
    let chunks = |rest: &str| format!("0\r\n\r\n{rest}");
    let of = |lines: &str| sent(lines, &chunks(SMUGGLED));
    vec![
        ("length and chunks", of("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), BAD),
        ("chunks and length", of("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), BAD),
        ("two lengths", of("Content-Length: 5\r\nContent-Length: 6\r\n"), BAD),
        ("a list of lengths", of("Content-Length: 5, 5\r\n"), BAD),
        ("a length with a sign", of("Content-Length: +5\r\n"), BAD),
        ("a negative length", of("Content-Length: -5\r\n"), BAD),
        ("a length in hex", of("Content-Length: 0x5\r\n"), BAD),
        ("a length too large to count", of("Content-Length: 99999999999999999999\r\n"), BAD),
        ("a space before the colon", of("Transfer-Encoding : chunked\r\n"), BAD),
        ("an encoding that is none", of("Transfer-Encoding: xchunked\r\n"), BAD),
        ("chunked, but not last", of("Transfer-Encoding: chunked, identity\r\n"), BAD),
        ("chunked twice", of("Transfer-Encoding: chunked, chunked\r\n"), BAD),
        ("a folded line", of("Transfer-Encoding:\r\n chunked\r\n"), BAD),
        ("a name with a NUL", of("X\0Y: 1\r\n"), BAD),
        ("a value with a CR", of("X-Y: 1\r2\r\n"), BAD),
        ("a chunk size with a sign", sent(CHUNKED, "+5\r\nhello\r\n0\r\n\r\n"), MALFORMED),
        ("a chunk size that overflows", sent(CHUNKED, "fffffffffffffffff\r\nx\r\n"), MALFORMED),
        ("a chunk longer than it says", sent(CHUNKED, "1\r\nhello\r\n0\r\n\r\n"), MALFORMED),
    ]
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
const BAD: Expected = Unreadable(400);
const MALFORMED: Expected = Problem(400, "malformed-request");

/// Heads that are too much, or say what no head may.
fn heads() -> Vec<Attack> {
    let many = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect::<String>();
    let long = format!("X-Long: {}\r\n", "x".repeat(200 * 1024));
    let path = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(200 * 1024));
    let bare = |text: &str| text.as_bytes().to_vec();
    vec![
        ("200 headers", sent(&many, ""), Unreadable(431)),
        ("a header of 200 KiB", sent(&long, ""), Unreadable(431)),
        ("a path of 200 KiB", path.into_bytes(), Unreadable(431)),
        ("no HTTP", bare("\x16\x03\x01\x02\x00\x01\x00\x01\x03\x03\r\n\r\n"), BAD),
        ("HTTP/0.9", bare("GET /livez\r\n\r\n"), BAD),
        ("HTTP/2 without asking", bare("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), BAD),
        ("an encoded body", sent("Content-Encoding: gzip\r\nContent-Length: 5\r\n", "hello"), {
            Problem(415, "unsupported-media-type")
        }),
        ("a body too large", sent("Content-Length: 999999999999\r\n", "hello"), {
            Problem(413, "too-large")
        }),
        ("two tokens", sent(&format!("{}Content-Length: 0\r\n", authorization()), ""), {
            Problem(401, "unauthorized")
        }),
        ("the operators' port", bare("GET /admin/state HTTP/1.1\r\nHost: localhost\r\n\r\n"), {
            Problem(401, "unauthorized")
        }),
        (
            "a tunnel",
            bare("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"),
            { Problem(401, "unauthorized") },
        ),
        ("a proxy's path", bare("GET http://evil.example/v1/x HTTP/1.1\r\nHost: e\r\n\r\n"), {
            Problem(401, "unauthorized")
        }),
        ("no token", bare(&format!("{SEND}{FORM}Content-Length: 5\r\n\r\nhello")), {
            Problem(401, "unauthorized")
        }),
    ]
}

/// Forms that are taken apart otherwise than they look.
fn forms() -> Vec<Attack> {
    let form = "multipart/form-data; boundary=b";
    let named = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
    let clip = |file: &str| format!("{}; filename=\"{file}\"", named("file"));
    let crowd: String = (0..10_000).map(|_| part(&named("transcript"), "x")).collect();
    let strangers: String = (0..10_000).map(|n| part(&named(&format!("p{n}")), "x")).collect();
    let heads = format!("{}\r\nX-Long: {}", named("transcript"), "x".repeat(64 * 1024));
    let lines: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let lines = format!("{lines}{}", named("transcript"));
    let long = |n: usize| format!("multipart/form-data; boundary={}", "b".repeat(n));
    let end = "--b--\r\n";
    vec![
        ("10,000 parts of a name", body(form, crowd + end), Problem(400, "duplicate-part")),
        ("10,000 parts", body(form, strangers + end), Problem(400, "unknown-part")),
        ("a part's head of 64 KiB", body(form, part(&heads, "x") + end), MALFORMED),
        ("200 lines in a part's head", body(form, part(&lines, "x") + end), MALFORMED),
        ("no boundary", body("multipart/form-data", "--b--\r\n"), MALFORMED),
        ("an empty boundary", body("multipart/form-data; boundary=", "--\r\n"), MALFORMED),
        ("another boundary", body(form, "--c\r\n\r\n--c--\r\n"), MALFORMED),
        ("a boundary of 100 KiB", body(&long(100 * 1024), "--b--\r\n"), MALFORMED),
        ("a form in a form", body(form, part(&nested(), "--c--") + end), MALFORMED),
        ("a part without a name", body(form, part("X-Y: 1", "x") + end), MALFORMED),
        ("a NUL in a file name", body(form, part(&clip("a\0b"), "x") + end), MALFORMED),
        ("a line break in a file name", body(form, part(&clip("a\r\nX: b"), "x") + end), MALFORMED),
        ("no end", body(form, part(&named("transcript"), "x")), MALFORMED),
        ("an end, and then more", body(form, format!("{end}{}", part("X: 1", "x"))), {
            Problem(400, "missing-part")
        }),
        ("nothing", body(form, ""), MALFORMED),
        ("another's conversation", body(form, of_others("conversation_id")), {
            Problem(403, "forbidden")
        }),
        ("another's name", body(form, of_others("sender_id")), Problem(403, "forbidden")),
    ]
}

fn nested() -> String {
    "Content-Disposition: form-data; name=\"files\"\r\nContent-Type: multipart/mixed; boundary=c"
        .to_owned()
}

fn of_others(field: &str) -> Vec<u8> {
    let clip = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.ogg\"\r\n\r\n";
    let field = format!(
        "\r\n{}--b--\r\n",
        part(&format!("Content-Disposition: form-data; name=\"{field}\""), "another's")
    );
    [clip.as_bytes(), &fixture("hello.ogg"), field.as_bytes()].concat()
}

/// Everything that comes back until the gateway closes, or says nothing more.
fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> (Vec<u8>, bool) {
    // What is refused early may meet a closed connection.
    let _ = stream.write_all(bytes);
    // The first answer has time, on a busy machine too; a second one would follow at once.
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return (answer, true),
            Ok(count) => {
                answer.extend_from_slice(&piece[..count]);
                stream.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
            }
            Err(error) => {
                return (answer, error.kind() == std::io::ErrorKind::ConnectionReset);
            }
        }
    }
}

#[track_caller]
fn check(what: &str, answer: &[u8], closed: bool, expected: Expected) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let answers = text.matches("HTTP/1.1 ").count();
    let (head, content) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let (status, code) = match expected {
        Problem(status, code) => (status, Some(code)),
        Unreadable(status) => (status, None),
    };
    let right_status = head.starts_with(&format!("HTTP/1.1 {status} "));
    let right_body = match code {
        Some(code) => content.contains(&format!("\"code\":\"{code}\"")),
        None => content.is_empty() && closed,
    };
    if answers == 1 && right_status && right_body {
        if let (Some(reply), Some(_)) = (Reply::parse(answer), code) {
            Contract::of_this_build().check("POST", "/v1/voice-messages", &reply);
        }
        return Ok(());
    }
    let shown: String = text.chars().take(600).collect();
    Err(format!("{what}: {expected:?}, {answers} answers, closed: {closed}: {shown}"))
}

#[test]
fn every_attack_on_the_wire_gets_its_answer() {
    let gateway = with_tokens().settings(|s| s.server.linger_seconds = 1).start();
    let attacks: Vec<Attack> = [smuggling(), heads(), forms()].concat();
    let results: Vec<_> = std::thread::scope(|scope| {
        let run = |(what, bytes, expected): &Attack| {
            let (answer, closed) = exchange(&mut gateway.public.connect(), bytes);
            check(what, &answer, closed, *expected)
        };
        let tries: Vec<_> = attacks.iter().map(|attack| scope.spawn(move || run(attack))).collect();
        tries.into_iter().map(|tried| tried.join().unwrap()).collect()
    });
    let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attacks.len(), wrong.join("\n\n"));
    assert_eq!(gateway.records().len(), 0, "an attack became a message");
}

/// What the sender calls the file, in the words of the header, and what it is called at Genesys.
const FILE_NAMES: [(&str, &str); 11] = [
    ("../../etc/passwd", "passwd.ogg"),
    ("..\\\\..\\\\boot.ini", "boot.ogg"),
    ("/etc/cron.d/x.ogg", "x.ogg"),
    ("C:/Windows/x.ogg", "x.ogg"),
    ("..", "voice-message.ogg"),
    ("~/.ssh/id_rsa", "id_rsa.ogg"),
    ("a%0d%0aX-Evil: 1.ogg", ""),
    ("$(id).ogg", ""),
    ("a;b|c.ogg", ""),
    ("con.ogg", "con.ogg"),
    ("x.php.ogg", ""),
];

#[test]
fn no_file_name_leads_anywhere() {
    let gateway = with_tokens().start();
    let token = guest("guest-1", "c-1");
    for (name, _) in FILE_NAMES {
        let form = Form::empty().file(name, fixture("hello.ogg"));
        gateway.send(&signed(form, &token)).receipt(201);
    }
    let names: Vec<String> = gateway.at_genesys(|sandbox| {
        sandbox.account().uploads().iter().map(|upload| upload.file_name.clone()).collect()
    });
    assert_eq!(names.len(), FILE_NAMES.len());
    for (name, (sent, expected)) in names.iter().zip(FILE_NAMES) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        assert!(name.chars().all(plain) && !name.starts_with('.'), "{sent:?} became {name:?}");
        assert!(expected.is_empty() || name == expected, "{sent:?} became {name:?}");
    }
}
