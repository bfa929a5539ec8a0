//! What goes on beside the messages, each in a task of its own: looks at disks and at files of
//! secrets and certificates, sweeps of what is old, and erasures that go on.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::access::Quotas;
use crate::domain::{Credence, DOUBT, UnixMs};
use crate::ledger::Erasures;
use crate::pipeline::Pipeline;
use crate::settings::{Credentials, Looked, Settings};
use crate::web::{Certificates, Renewal};

/// How often free space is looked at, and whether the spool takes a file.
const STORAGE_LOOK: Duration = Duration::from_secs(5);
/// How often old rows are swept.
const SWEEP: Duration = Duration::from_secs(600);
/// A file's mode: others may read, others may write.
const OTHERS: u32 = 0o006;
/// How often files of secrets are read anew.
const SECRETS_LOOK: Duration = Duration::from_secs(1);
/// How often callers are forgotten whose whole quota is there again.
const SWEEP_QUOTAS: Duration = Duration::from_secs(10);
/// How often it is looked whether what is to be erased can go.
const ERASE_LOOK: Duration = Duration::from_secs(1);
/// Pause after a bite of rows that left some.
const SWEEP_MORE: Duration = Duration::from_millis(500);
/// Rows that one bite deletes at most, of each kind: senders' commits wait for it, and what it
/// reads is held in memory.
const SWEEP_ROWS: u32 = 1_000;
/// How long a spool file has to be without a record before it is a stray: far longer than a commit
/// takes.
const STRAY_AGE: Duration = Duration::from_secs(600);

/// Looks at the free space of both disks, and whether the spool takes a file, for as long as the
/// system runs.
pub(super) fn watch_storage(pipeline: &Arc<Pipeline>, free_bytes_min: u64) {
    let pipeline = Arc::clone(pipeline);
    actix::spawn(async move {
        loop {
            let ledger_free_bytes = pipeline.ledger().free_bytes();
            pipeline.admission().look_at_storage(ledger_free_bytes, free_bytes_min);
            pipeline.admission().look_at_spool().await;
            tokio::time::sleep(STORAGE_LOOK).await;
        }
    });
}

/// Warns of files of secrets that others on the machine may read or write.
pub(super) fn warn_of_open_files(settings: &Settings, credentials: &Credentials) {
    let tls_key = settings.tls.key_file.as_ref().map(|path| ("tls.key_file", PathBuf::from(path)));
    for (name, path) in credentials.files().into_iter().chain(tls_key) {
        // One that is not there any more is told of by who reads it.
        let Ok(file) = std::fs::metadata(&path) else { continue };
        if file.permissions().mode() & OTHERS != 0 {
            let path = path.display();
            tracing::warn!(name, %path, "others may read or write the file of this secret");
        }
    }
}

/// Takes secrets over as their files change, for as long as the system runs.
pub(super) fn follow_secrets(credentials: &Credentials) {
    let credentials = credentials.clone();
    actix::spawn(async move {
        loop {
            tokio::time::sleep(SECRETS_LOOK).await;
            for (name, looked) in credentials.look() {
                match looked {
                    Looked::Same => {}
                    Looked::Changed => tracing::info!(name, "a secret was replaced"),
                    Looked::Unusable(error) => {
                        tracing::error!(%error, "a secret stays as it was");
                    }
                }
            }
        }
    });
}

/// Shows a renewed certificate as its files change, for as long as the system runs.
pub(super) fn follow_certificate(certificates: &Arc<Certificates>) {
    let certificates = Arc::clone(certificates);
    actix::spawn(async move {
        loop {
            tokio::time::sleep(SECRETS_LOOK).await;
            match certificates.look() {
                Renewal::Same => {}
                Renewal::Renewed => tracing::info!("the certificate was renewed"),
                Renewal::Unusable(error) => {
                    tracing::error!(%error, "the certificate stays as it was");
                }
            }
        }
    });
}

/// Keeps the tables of callers small, for as long as the system runs.
pub(super) fn sweep_quotas(quotas: &Arc<Quotas>) {
    let quotas = Arc::clone(quotas);
    actix::spawn(async move {
        loop {
            tokio::time::sleep(SWEEP_QUOTAS).await;
            let quotas = Arc::clone(&quotas);
            // Long where they are many. It does not panic, and nothing waits for it.
            let _ = tokio::task::spawn_blocking(move || quotas.sweep()).await;
        }
    });
}

/// Works on what was promised to be erased, also by a process before, for as long as the system
/// runs.
pub(super) fn go_on_erasing(pipeline: &Arc<Pipeline>, erasures: Arc<dyn Erasures>) {
    let pipeline = Arc::clone(pipeline);
    actix::spawn(async move {
        loop {
            tokio::time::sleep(ERASE_LOOK).await;
            if let Err(problem) = pipeline.go_on_erasing(&*erasures).await {
                tracing::error!(code = %problem.code.as_str(), "an erasure does not go on");
            }
        }
    });
}

/// Deletes rows and spool files that nobody needs any more, for as long as the system runs. No row
/// is old by a clock that is in doubt: with a key would go what keeps its sender's repeat from
/// being a second message.
pub(super) fn sweep(pipeline: &Arc<Pipeline>, settings: &Settings) {
    let pipeline = Arc::clone(pipeline);
    let (keys_keep_hours, keep_days) = (settings.ledger.keys_keep_hours, settings.ledger.keep_days);
    let mut strays = HashMap::new();
    actix::spawn(async move {
        let begun = Instant::now();
        let mut credence = Credence::new(pipeline.clock().now(), DOUBT);
        loop {
            let now = pipeline.clock().now();
            if credence.is_believed(now, begun.elapsed()) {
                sweep_rows(&pipeline, now, keys_keep_hours, keep_days).await;
            }
            match pipeline.sweep_spool(&mut strays, STRAY_AGE).await {
                Ok(0) => {}
                Ok(files) => tracing::warn!(files, "spool files without a message swept"),
                Err(error) => tracing::error!(%error, "the spool was not swept"),
            }
            tokio::time::sleep(SWEEP).await;
        }
    });
}

/// Sets right what a clock dated that was ahead, for as long as the system runs.
pub(super) fn keep_dates_right(pipeline: &Arc<Pipeline>) {
    actix::spawn(Arc::clone(pipeline).keep_dates_right());
}

/// Bite by bite, until nothing is left that is old enough.
async fn sweep_rows(pipeline: &Pipeline, now: UnixMs, keys_keep_hours: u32, keep_days: u32) {
    let ago = |hours: u32| -i64::from(hours) * 3_600_000;
    let mut rows_in_all = 0;
    loop {
        let keys_before = now.plus_ms(ago(keys_keep_hours));
        let records_before = now.plus_ms(ago(keep_days.saturating_mul(24)));
        let swept = pipeline.ledger().sweep(keys_before, records_before, SWEEP_ROWS).await;
        let rows = swept.unwrap_or_else(|error| {
            tracing::error!(%error, "old rows not swept");
            0
        });
        rows_in_all += rows;
        if rows < u64::from(SWEEP_ROWS) {
            break;
        }
        tokio::time::sleep(SWEEP_MORE).await;
    }
    if rows_in_all > 0 {
        tracing::info!(rows = rows_in_all, "old rows swept");
    }
}
