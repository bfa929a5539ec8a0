//! The gateway as a process of its own, on an empty ledger. It dies with its value.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_MAX: Duration = Duration::from_secs(20);

pub struct Gateway {
    pub address: SocketAddr,
    pub spool: PathBuf,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Gateway {
    /// With the defaults and these settings, each `KEY=VALUE`, in front of Genesys at this URL.
    pub fn start(genesys: &str, settings: &[String]) -> Gateway {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = tempfile::Builder::new().prefix("crowd-").tempdir_in(target).unwrap();
        let (address, admin) = (free_address(), free_address());
        let spool = directory.path().join("spool");
        let ledger = format!("sqlite:{}", directory.path().join("ledger.db").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_voicepost"));
        command.arg("serve").current_dir(directory.path()).stdin(Stdio::null());
        command.stderr(File::create(directory.path().join("log")).unwrap());
        command.env("GENESYS_CLIENT_ID", "sandbox-client");
        command.env("GENESYS_CLIENT_SECRET", "sandbox-secret");
        for (key, value) in [
            ("GENESYS__ROUTE", "media-api"),
            ("GENESYS__LOGIN_URL", genesys),
            ("GENESYS__API_URL", genesys),
            ("SERVER__LISTEN", &address.to_string()),
            ("ADMIN__LISTEN", &admin.to_string()),
            ("LEDGER__URL", &ledger),
            ("SPOOL__DIR", spool.to_str().unwrap()),
            ("PURGE__TTL_SECONDS", "3600"),
        ]
        .into_iter()
        .chain(settings.iter().map(|setting| setting.split_once('=').unwrap()))
        {
            command.env(format!("VOICEPOST__{key}"), value);
        }
        let child = command.spawn().unwrap();
        let mut gateway = Gateway { address, spool, child, _directory: directory };
        let begun = Instant::now();
        while !is_ready(address) {
            assert!(begun.elapsed() < START_MAX, "nothing listens on {address}");
            assert!(gateway.child.try_wait().unwrap().is_none(), "the gateway ended");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        gateway
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sockets are bound before anybody answers, so an answer is what counts.
fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    let read = stream.write_all(request).and_then(|()| stream.read_to_string(&mut answer));
    read.is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// An address nobody listens on, as it is now.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}
