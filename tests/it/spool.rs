//! Clips survive what they must survive, and the spool touches nothing that is not its own.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use voicepost::domain::{MessageId, UnixMs};
use voicepost::sealing::Sealer;
use voicepost::spool::disk::DiskSpool;
use voicepost::spool::memory::MemorySpool;
use voicepost::spool::{Spool, SpoolError};

fn id(number: u8) -> MessageId {
    MessageId::new(UnixMs(1_760_000_000_000), [number; 10])
}

async fn keeps_its_contract(spool: &dyn Spool) {
    assert_eq!(spool.read(id(1)).await, Err(SpoolError::Missing(id(1))));
    spool.keep(id(1), Bytes::from_static(b"first")).await.unwrap();
    spool.keep(id(2), Bytes::from_static(b"")).await.unwrap();
    assert_eq!(spool.read(id(1)).await.unwrap(), "first");
    spool.keep(id(1), Bytes::from_static(b"again, longer")).await.unwrap();
    assert_eq!(spool.read(id(1)).await.unwrap(), "again, longer");
    assert_eq!(spool.read(id(2)).await.unwrap(), "");
    let mut ids = spool.list().await.unwrap();
    ids.sort();
    assert_eq!(ids, [id(1), id(2)]);
    spool.remove(id(1)).await.unwrap();
    spool.remove(id(1)).await.unwrap();
    assert_eq!(spool.read(id(1)).await, Err(SpoolError::Missing(id(1))));
    assert_eq!(spool.list().await.unwrap(), [id(2)]);
}

async fn takes_clips_in_pieces(spool: &dyn Spool) {
    let mut writer = spool.begin(id(1)).await.unwrap();
    writer.append(Bytes::from_static(b"one, ")).await.unwrap();
    writer.append(Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(spool.read(id(1)).await, Err(SpoolError::Missing(id(1))), "not before the end");
    assert_eq!((spool.list().await.unwrap(), spool.bytes()), (vec![], 0));
    let first = writer.finish().await.unwrap();
    assert_eq!(spool.read(id(1)).await.unwrap(), "one, two");
    // In somebody's hand it is no stray, nor when one of two hands has let go.
    assert_eq!((spool.list().await.unwrap(), spool.bytes()), (vec![], 8));
    let mut writer = spool.begin(id(1)).await.unwrap();
    writer.append(Bytes::from_static(b"one, two")).await.unwrap();
    let second = writer.finish().await.unwrap();
    first.claim();
    assert_eq!(spool.list().await.unwrap(), []);
    second.claim();
    assert_eq!((spool.list().await.unwrap(), spool.bytes()), (vec![id(1)], 8));

    let mut broken_off = spool.begin(id(2)).await.unwrap();
    broken_off.append(Bytes::from_static(b"half")).await.unwrap();
    drop(broken_off);
    let mut unclaimed = spool.begin(id(3)).await.unwrap();
    unclaimed.append(Bytes::from_static(b"whole")).await.unwrap();
    drop(unclaimed.finish().await.unwrap());
    while spool.bytes() != 8 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(spool.list().await.unwrap(), [id(1)]);
    spool.keep(id(1), Bytes::from_static(b"again")).await.unwrap();
    assert_eq!(spool.bytes(), 5);
    spool.remove(id(1)).await.unwrap();
    assert_eq!(spool.bytes(), 0);
}

#[tokio::test]
async fn disk_takes_clips_in_pieces_and_leaves_nothing_of_those_that_break_off() {
    let directory = tempfile::tempdir().unwrap();
    takes_clips_in_pieces(&DiskSpool::open(directory.path()).unwrap()).await;
    while std::fs::read_dir(directory.path()).unwrap().count() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn memory_takes_clips_in_pieces() {
    takes_clips_in_pieces(&MemorySpool::new(1024)).await;
}

#[tokio::test]
async fn disk_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    keeps_its_contract(&DiskSpool::open(&directory.path().join("a/b")).unwrap()).await;
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    keeps_its_contract(&MemorySpool::new(1024)).await;
}

#[tokio::test]
async fn clips_survive_reopening_and_are_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool");
    let clip = Bytes::from(vec![7; 300_000]);
    DiskSpool::open(&path).unwrap().keep(id(1), clip.clone()).await.unwrap();
    let again = DiskSpool::open(&path).unwrap();
    assert_eq!(again.read(id(1)).await.unwrap(), clip);
    assert_eq!(again.bytes(), 300_000);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join(format!("{}.clip", id(1)))), 0o600);
}

#[tokio::test]
async fn unfinished_writes_go_at_start_and_foreign_files_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let unfinished = path.join(format!("{}.3.unfinished", id(9)));
    std::fs::write(&unfinished, "half a cl").unwrap();
    let foreign = ["README", "notes.clip", "x.unfinished", "lost+found.3.unfinished"];
    for name in foreign {
        std::fs::write(path.join(name), "not ours").unwrap();
    }
    let spool = DiskSpool::open(path).unwrap();
    assert!(!unfinished.exists());
    assert_eq!(spool.list().await.unwrap(), []);
    assert!(foreign.iter().all(|name| path.join(name).exists()));
}

#[tokio::test]
async fn writes_at_the_same_time_leave_one_whole_clip() {
    let directory = tempfile::tempdir().unwrap();
    let spool = DiskSpool::open(directory.path()).unwrap();
    let writes: Vec<_> = (0..16u8).map(|n| spool.keep(id(1), vec![n; 50_000].into())).collect();
    for written in futures_util::future::join_all(writes).await {
        written.unwrap();
    }
    let clip = spool.read(id(1)).await.unwrap();
    assert_eq!(clip.len(), 50_000);
    assert!(clip.iter().all(|byte| *byte == clip[0]));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_spool_without_room_says_full_and_takes_the_next_that_fits() {
    let spool = MemorySpool::new(10);
    spool.keep(id(1), Bytes::from_static(b"12345678")).await.unwrap();
    assert_eq!(spool.keep(id(2), Bytes::from_static(b"123")).await, Err(SpoolError::Full));
    spool.keep(id(1), Bytes::from_static(b"0123456789")).await.unwrap();
    spool.remove(id(1)).await.unwrap();
    spool.keep(id(2), Bytes::from_static(b"123")).await.unwrap();
    let mut writer = spool.begin(id(3)).await.unwrap();
    writer.append(Bytes::from_static(b"1234567")).await.unwrap();
    assert_eq!(writer.append(Bytes::from_static(b"8")).await, Err(SpoolError::Full));
}

#[tokio::test]
async fn a_disk_that_fails_says_what_it_was_doing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool");
    let spool = DiskSpool::open(&path).unwrap();
    std::fs::remove_dir(&path).unwrap();
    let error = spool.keep(id(1), Bytes::from_static(b"x")).await.unwrap_err();
    assert!(error.to_string().starts_with("the spool failed to write a clip"), "{error}");
}

/// Whatever is asked for of a clip is what stands there in the whole, however the file is made.
#[tokio::test]
async fn a_part_of_a_clip_is_what_the_whole_has_there() {
    let clip: Vec<u8> = (0..200_000_u32).map(|place| (place / 253) as u8).collect();
    let sealer = || Arc::new(Sealer::new("a-key-of-the-operator-0123456789").unwrap());
    let (plain, kept, sealed) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let memory = MemorySpool::new(1 << 20);
    let kept_plain = DiskSpool::open_sealed(kept.path(), Arc::new(Sealer::plain())).unwrap();
    kept_plain.keep(id(1), clip.clone().into()).await.unwrap();
    kept_plain.keep(id(2), Bytes::from_static(b"short")).await.unwrap();
    drop(kept_plain);
    let spools: [Box<dyn Spool>; 4] = [
        Box::new(memory),
        Box::new(DiskSpool::open(plain.path()).unwrap()),
        Box::new(DiskSpool::open_sealed(sealed.path(), sealer()).unwrap()),
        // What was kept before there was a key.
        Box::new(DiskSpool::open_sealed(kept.path(), sealer()).unwrap()),
    ];
    for (number, spool) in spools.iter().enumerate() {
        assert_eq!(spool.read_part(id(3), 0, 9).await, Err(SpoolError::Missing(id(3))));
        if number < 3 {
            spool.keep(id(1), clip.clone().into()).await.unwrap();
            spool.keep(id(2), Bytes::from_static(b"short")).await.unwrap();
        }
        let short = spool.read_part(id(2), 2, 9).await.unwrap();
        assert_eq!((short.bytes.as_ref(), short.clip_bytes), (b"ort".as_slice(), 5));
        for (first, bytes_max) in [
            (0, 0),
            (0, 65_536),
            (65_535, 3),
            (65_536, 65_536),
            (70_000, 130_000),
            (199_999, 10),
            (200_000, 10),
            (u64::MAX, usize::MAX),
        ] {
            let part = spool.read_part(id(1), first, bytes_max).await.unwrap();
            let begin = usize::try_from(first).unwrap().min(clip.len());
            let end = begin.saturating_add(bytes_max).min(clip.len());
            assert!(part.bytes == clip[begin..end], "spool {number}, {bytes_max} from {first}");
            assert_eq!(part.clip_bytes, 200_000);
        }
    }
}

#[tokio::test]
async fn a_sealed_clip_that_is_cut_off_is_not_read_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let sealer = Arc::new(Sealer::new("a-key-of-the-operator-0123456789").unwrap());
    let spool = DiskSpool::open_sealed(directory.path(), sealer).unwrap();
    spool.keep(id(1), vec![7; 200_000].into()).await.unwrap();
    let path = directory.path().join(format!("{}.clip", id(1)));
    let file = std::fs::read(&path).unwrap();
    // At the end of a frame, within one, within a length.
    for kept in [file.len() - 33, file.len() - 34, file.len() - 30, 8 + 4 + 65_536 + 29, 10] {
        std::fs::write(&path, &file[..kept]).unwrap();
        let mut first = 0;
        let cut = loop {
            match spool.read_part(id(1), first, 65_536).await {
                Ok(part) if part.bytes.is_empty() => break false,
                Ok(part) => first += part.bytes.len() as u64,
                Err(_) => break true,
            }
        };
        assert!(cut, "{kept} bytes of it were taken for the whole");
    }
}
