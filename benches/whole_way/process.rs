//! The processes beside this one. Each dies with its value.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::reading::Numbers;

const START_MAX: Duration = Duration::from_secs(20);

pub struct Process {
    pub address: SocketAddr,
    child: Child,
}

impl Process {
    /// This program once more, in another role.
    pub fn role(role: &str, upstream: Option<&Process>) -> Process {
        let address = free_address();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--role", role, "--listen", &address.to_string()]);
        if let Some(upstream) = upstream {
            command.args(["--upstream", &upstream.url()]);
        }
        Process::start(command, address)
    }

    fn start(mut command: Command, address: SocketAddr) -> Process {
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let mut process = Process { address, child };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < START_MAX, "nothing listens on {address}");
            assert!(process.child.try_wait().unwrap().is_none(), "the process ended: {command:?}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        process
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// CPU time of the threads that live now (Linux, `/proc/PID/task/TID/schedstat`: the first
    /// number). The measured programs end no thread under load.
    pub fn cpu(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let spent = threads.map(|thread| {
            let text = std::fs::read_to_string(thread.unwrap().path().join("schedstat"));
            let text = text.unwrap_or_default();
            text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0)
        });
        Duration::from_nanos(spent.sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The gateway itself, on an empty ledger.
pub struct Gateway {
    pub process: Process,
    admin: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Gateway {
    pub fn start(upstream: &Process) -> Gateway {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = tempfile::Builder::new().prefix("whole-way-").tempdir_in(target).unwrap();
        let (address, admin) = (free_address(), free_address());
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_voicepost"));
        command.arg("serve").current_dir(directory.path()).stderr(log);
        let ledger = format!("sqlite:{}", directory.path().join("ledger.db").display());
        for (name, value) in [
            ("GENESYS_CLIENT_ID", "sandbox-client"),
            ("GENESYS_CLIENT_SECRET", "sandbox-secret"),
            ("VOICEPOST__GENESYS__ROUTE", "media-api"),
            ("VOICEPOST__GENESYS__LOGIN_URL", &upstream.url()),
            ("VOICEPOST__GENESYS__API_URL", &upstream.url()),
            ("VOICEPOST__SERVER__LISTEN", &address.to_string()),
            ("VOICEPOST__ADMIN__LISTEN", &admin.to_string()),
            ("VOICEPOST__LEDGER__URL", &ledger),
            ("VOICEPOST__PURGE__TTL_SECONDS", "3600"),
        ] {
            command.env(name, value);
        }
        Gateway { process: Process::start(command, address), admin, _directory: directory }
    }

    pub fn numbers(&self) -> Numbers {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Numbers::parse(&answer)
    }
}

/// An address nobody listens on, as it is now.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}
