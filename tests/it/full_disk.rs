//! The disk is full. What cannot be kept is refused and said so, what was promised stays promised,
//! and with room again the gateway goes on without a restart.
//!
//! The data lie on a small tmpfs, which only root may mount; elsewhere the tests say why they did
//! not run.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use voicepost::sandbox::{Endpoint, FaultAction, FaultRule, Target};

use crate::load::Book;
use crate::process::{Gateway, Send, World, wait_at_most};
use crate::reckoning::{Exempt, Reckoning};

const CLIP: &[u8] = include_bytes!("../fixtures/audio/hello.wav");

/// A small disk of its own; unmounted when dropped.
struct SmallDisk {
    path: PathBuf,
    _place: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, and a line that says why, where this user may not mount.
    fn mount(size: &str) -> Option<SmallDisk> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk { path, _place: place }),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                println!("skipped: a tmpfs cannot be mounted here: {}", why.trim());
                None
            }
            Err(error) => {
                println!("skipped: there is no mount here: {error}");
                None
            }
        }
    }

    /// Takes what is free but these bytes; removing the file gives them back.
    fn fill(&self, but_bytes: u64) -> PathBuf {
        let ballast = self.path.join("ballast");
        let mut file = File::options().create(true).append(true).open(&ballast).unwrap();
        let block = vec![0; 4096];
        while free_bytes(&self.path) > but_bytes {
            file.write_all(&block).unwrap();
        }
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a killed process may still be on its way out.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn free_bytes(path: &Path) -> u64 {
    let found = rustix::fs::statvfs(path).unwrap();
    found.f_bavail * found.f_frsize
}

/// One message that does not wait, and what came back.
fn send(gateway: &Gateway, book: &mut Book, name: &str, number: usize) -> u16 {
    let key = format!("{name}-{number}");
    let send = Send::new(&format!("c-{}", number % 4), &key).key(&key).clip(CLIP);
    let send = send.prefer("respond-async");
    let answer = gateway.send(&send);
    if answer.status != 202 {
        let code = answer.body["code"].as_str().unwrap_or_default();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(["storage-low", "storage-failed"].contains(&code), "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        *book.refused.entry((503, code.to_owned())).or_default() += 1;
    } else {
        book.told.push(crate::load::Told { key, id: answer.id(), status: 202 });
    }
    answer.status
}

#[test]
fn a_full_disk_refuses_honestly_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("8m") else { return };
    // The watch on free space is off, so that the disk itself says no.
    let world = World::within(
        &disk.path,
        &[
            ("LEDGER__FREE_BYTES_MIN", "0"),
            ("DELIVERY__LATER_PAUSE_MS_MAX", "500"),
            ("PURGE__PAUSE_MS_MAX", "500"),
        ],
    );
    let gateway = world.start();
    // Clips pile up in the spool, since Genesys takes none.
    world.faults(vec![FaultRule::new(Target::Any, FaultAction::status(503))]);
    let mut book = Book::default();
    let before = (0..10).filter(|number| send(&gateway, &mut book, "before", *number) == 202);
    assert_eq!(before.count(), 10, "there is room");
    let ballast = disk.fill(600 * 1024);
    let full = (0..30).filter(|number| send(&gateway, &mut book, "full", *number) == 202).count();
    assert!(full < 30 && !book.refused.is_empty(), "{full} of 30 found room");
    disk.fill(0);
    let none = (0..10).filter(|number| send(&gateway, &mut book, "none", *number) == 202);
    assert_eq!(none.count(), 0, "nothing is promised that cannot be kept");
    assert_eq!(gateway.state()["draining"], false, "it is still there");
    println!("accepted {full} while it filled up, refused {:?}", book.refused);

    std::fs::remove_file(ballast).unwrap();
    world.release();
    wait_at_most(Duration::from_secs(30), "it takes messages again", || {
        send(&gateway, &mut Book::default(), "probe", book.told.len()) == 202
    });
    let after = (0..10).filter(|number| send(&gateway, &mut book, "after", *number) == 202);
    assert_eq!(after.count(), 10, "there is room again");
    let released = gateway.settled(Duration::from_secs(60));
    assert_eq!(released.len(), 0, "nobody has to help");
    Reckoning::of(&world, &book, &Exempt::default()).expect_clean();
}

#[test]
fn a_disk_that_is_nearly_full_takes_no_new_messages_and_delivers_those_it_has() {
    let Some(disk) = SmallDisk::mount("48m") else { return };
    let world = World::within(
        &disk.path,
        // More than the write-ahead log grows to: without room in it nothing goes on.
        &[("LEDGER__FREE_BYTES_MIN", "25165824"), ("DELIVERY__LATER_PAUSE_MS_MAX", "500")],
    );
    let gateway = world.start();
    world.faults(vec![FaultRule::new(Target::Any, FaultAction::status(503))]);
    let mut book = Book::default();
    let before = (0..10).filter(|number| send(&gateway, &mut book, "before", *number) == 202);
    assert_eq!(before.count(), 10, "there is room");
    let ballast = disk.fill(23 * 1024 * 1024);
    wait_at_most(Duration::from_secs(30), "it notices", || gateway.state()["storage_low"] == true);
    assert_eq!(send(&gateway, &mut book, "low", 0), 503);
    assert_eq!(book.refused.keys().next(), Some(&(503, "storage-low".to_owned())));
    world.release();
    wait_at_most(Duration::from_secs(30), "those it has are delivered", || world.posts() == 10);
    std::fs::remove_file(ballast).unwrap();
    wait_at_most(Duration::from_secs(30), "it notices", || gateway.state()["storage_low"] == false);
    assert_eq!(send(&gateway, &mut book, "after", 0), 202, "without a restart");
    gateway.settled(Duration::from_secs(60));
    Reckoning::of(&world, &book, &Exempt::default()).expect_clean();
}

#[test]
fn a_post_on_the_wire_while_the_disk_fills_up_is_told_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("8m") else { return };
    let world = World::within(&disk.path, &[("LEDGER__FREE_BYTES_MIN", "0")]);
    let gateway = world.start();
    world.hold(Endpoint::Post, 2);
    let send = Send::new("c-1", "on the wire").key("key-1").clip(CLIP).prefer("wait=3");
    let first = gateway.sending(send.clone());
    wait_at_most(Duration::from_secs(10), "it is posted", || world.posts() == 1);
    let ballast = disk.fill(0);
    let told = first.join().unwrap().expect("an answer all the same");
    let code = told.body["code"].as_str().unwrap_or_default();
    assert_eq!((told.status, code), (409, "in-progress"), "{told:?}");
    assert!(told.header("retry-after").is_some(), "{told:?}");

    std::fs::remove_file(ballast).unwrap();
    wait_at_most(Duration::from_secs(30), "it is told", || gateway.send(&send).status == 201);
    assert_eq!(world.posts(), 1, "and it is posted once");
}
