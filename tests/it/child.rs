//! A child process that does not outlive its test.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::process::PATIENCE;

/// A process of the program; killed when dropped.
pub struct Process(pub Child);

impl Process {
    /// SIGTERM.
    pub fn terminate(&self) {
        let pid = self.0.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits for its end.
    pub fn ended(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            if let Some(status) = self.0.try_wait().expect("it can be asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "the process goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either it has ended already, or it ends here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
