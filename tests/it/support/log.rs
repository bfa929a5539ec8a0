//! Everything that is logged in this process, at every level, from the first gateway on.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use voicepost::settings::{Log, LogFormat};
use voicepost::telemetry;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static INSTALLED: Once = Once::new();

struct Sink;

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the sink the log of every thread.
pub(super) fn install() {
    INSTALLED.call_once(|| {
        let settings = Log { format: LogFormat::Text, filter: "trace".to_owned() };
        let log = telemetry::subscriber(&settings, || Sink, false).expect("a sound filter");
        tracing::dispatcher::set_global_default(log).expect("nobody else sets the log");
    });
}

/// All that was logged so far.
pub fn logged() -> String {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&lines).into_owned()
}
