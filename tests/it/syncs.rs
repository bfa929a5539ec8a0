//! What a kill cannot show, since the page cache outlives a process: that clip and record were
//! synced before the sender was told. `strace` watches the order of the calls.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process::{Send, World, wait_until};

/// Only where this is set, as `scripts/test --long` does: it needs strace and the right to trace.
const WANTED: &str = "VOICEPOST_STRACE";

/// What is watched: the request, the way of bytes to the disk, and the answer to the sender.
const CALLS: &str = "trace=read,recvfrom,fsync,fdatasync,rename,renameat,renameat2,\
                     write,writev,sendto,sendmsg";

/// strace at work on a process; detached when dropped.
struct Tracer(Child);

impl Tracer {
    fn attach(pid: u32, file: &Path) -> Tracer {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-s", "16", "-e", CALLS, "-p", &pid.to_string(), "-o"]);
        let child = command.arg(file).stderr(Stdio::null()).spawn().expect("strace is installed");
        Tracer(child)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // SIGTERM lets it detach; the traced process goes on.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Whether a process is traced by somebody.
fn is_traced(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let mut traced = tasks.map(|task| {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    });
    traced.all(|traced| traced)
}

/// Invariant 1, and invariant 2 on the way: commit, clip, directory, commit, answer.
#[test]
fn clip_and_record_are_synced_before_the_202() {
    if std::env::var_os(WANTED).is_none() {
        println!("skipped: set {WANTED}=1 to trace the program with strace");
        return;
    }
    let world = World::new(&[]);
    let gateway = world.start();
    let trace_file = world.data.path().join("trace");
    let tracer = Tracer::attach(gateway.pid(), &trace_file);
    wait_until("strace follows every thread", || is_traced(gateway.pid()));
    for number in 0..3 {
        let told = gateway.send(&Send::new("c-1", &number.to_string()).prefer("respond-async"));
        assert_eq!(told.status, 202);
        gateway.receipt_at(&told.id(), "sent");
    }
    drop(tracer);
    let trace = std::fs::read_to_string(&trace_file).unwrap();
    let (mut requests, mut answers) = (0, 0);
    let mut since = Vec::new();
    for line in trace.lines() {
        if line.contains("\"POST /v1/voice") {
            requests += 1;
            since.clear();
        } else if line.contains("\"HTTP/1.1 202 ") {
            answers += 1;
            expect_order(&since);
        }
        since.push(line);
    }
    assert_eq!((requests, answers), (3, 3), "{trace}");
    gateway.kill();
}

/// What a step is called, and which line is it.
type Step<'a> = (&'a str, &'a dyn Fn(&str) -> bool);

/// Every step is found behind the one before it, done: a call that another thread's line
/// interrupts is done where it is resumed.
fn expect_order(lines: &[&str]) {
    let synced = |line: &str, file: &str| {
        (line.contains("fsync(") || line.contains("fdatasync(")) && line.contains(file)
    };
    let steps: [Step<'_>; 5] = [
        ("the acceptance is synced", &|line| synced(line, "voicepost.db-wal")),
        ("the clip is synced", &|line| synced(line, ".unfinished")),
        ("the clip gets its name", &|line| line.contains("rename") && line.contains(".clip")),
        ("the name is synced", &|line| synced(line, "/spool>")),
        ("its commit is synced", &|line| synced(line, "voicepost.db-wal")),
    ];
    let mut rest = lines;
    for (what, is_step) in steps {
        let at = rest.iter().position(|line| is_step(line));
        let at = at.unwrap_or_else(|| panic!("not before the 202: {what}\n{}", lines.join("\n")));
        let done = done_at(&rest[at..]);
        let done = done.unwrap_or_else(|| panic!("begun, not done: {what}\n{}", lines.join("\n")));
        rest = &rest[at + done + 1..];
    }
}

/// Where the call of the first line has returned 0.
fn done_at(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?;
    if !first.contains("<unfinished ...>") {
        return first.contains("= 0").then_some(0);
    }
    let thread = first.split_whitespace().next()?;
    let of_thread = |line: &&str| line.split_whitespace().next() == Some(thread);
    let next = lines.iter().skip(1).position(of_thread)? + 1;
    (lines[next].contains("resumed>") && lines[next].contains("= 0")).then_some(next)
}
