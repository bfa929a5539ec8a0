//! What holds of the gate for any bytes, cut into any pieces.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use voicepost::audio::{Gate, inspect, judge};
use voicepost::domain::{ClipRefusal, Media};

use crate::audio::{LIMITS, clip, labels};
use crate::ogg_writer;

/// The labelled clips but the longest, so that many cases fit into little time.
fn seeds() -> Vec<Vec<u8>> {
    labels().iter().map(|label| clip(&label.file)).filter(|clip| clip.len() < 64_000).collect()
}

fn verdict(pieces: &[&[u8]]) -> Result<Media, ClipRefusal> {
    let mut gate = Gate::new(LIMITS);
    let mut first_refusal = None;
    for piece in pieces {
        match (gate.feed(piece), &first_refusal) {
            (Err(refusal), None) => first_refusal = Some(refusal),
            (again, Some(refusal)) => assert_eq!(again.as_ref(), Err(refusal)),
            (Ok(()), None) => {}
        }
    }
    let verdict = gate.finish();
    if let Some(refusal) = first_refusal {
        assert_eq!(verdict, Err(refusal));
    }
    verdict
}

fn cut(bytes: &[u8], cuts: &[Index]) -> Vec<usize> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    places
}

fn pieces<'a>(mut bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut taken = 0;
    for place in places {
        let (piece, rest) = bytes.split_at(place - taken);
        pieces.push(piece);
        (bytes, taken) = (rest, *place);
    }
    pieces.push(bytes);
    pieces
}

/// One change to a clip: bytes overwritten, taken out, or put in.
#[derive(Clone, Debug)]
enum Change {
    Overwrite(Index, Vec<u8>),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Double(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = || {
        prop_oneof![
            vec(any::<u8>(), 1..8),
            vec(select(vec![0u8, 1, 0x7F, 0x80, 0xFF]), 1..9),
            select(vec![&b"OggS"[..], b"RIFF", b"data", b"fmt ", b"ID3\x03", b"\xFF\xFB\x90\0"])
                .prop_map(<[u8]>::to_vec),
        ]
    };
    // Headers are where a change does most.
    let place = || any::<Index>();
    prop_oneof![
        4 => (place(), bytes()).prop_map(|(at, bytes)| Change::Overwrite(at, bytes)),
        1 => (place(), 1..600usize).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (place(), bytes()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (place(), 1..600usize).prop_map(|(at, count)| Change::Double(at, count)),
    ]
}

fn apply(change: &Change, near_start: bool, clip: &mut Vec<u8>) {
    let reach = if near_start { clip.len().min(300) } else { clip.len() };
    let place = |index: &Index| index.index(reach + 1);
    match change {
        Change::Overwrite(at, bytes) => {
            for (old, new) in clip[place(at)..].iter_mut().zip(bytes) {
                *old = *new;
            }
        }
        Change::Remove(at, count) => {
            let at = place(at);
            clip.drain(at..clip.len().min(at + count));
        }
        Change::Insert(at, bytes) => {
            let at = place(at);
            clip.splice(at..at, bytes.iter().copied());
        }
        Change::Double(at, count) => {
            let at = place(at);
            let part = clip[at..clip.len().min(at + count)].to_vec();
            clip.splice(at..at, part);
        }
    }
}

/// Puts right checksums into Ogg pages, so that changes get past them.
fn seal_pages(clip: &mut [u8]) {
    let mut at = 0;
    while clip.len() >= at + 27 && &clip[at..at + 4] == b"OggS" {
        let table = at + 27..at + 27 + usize::from(clip[at + 26]);
        let Some(lacing) = clip.get(table.clone()) else { return };
        let end = table.end + lacing.iter().map(|length| usize::from(*length)).sum::<usize>();
        let Some(page) = clip.get_mut(at..end) else { return };
        ogg_writer::seal(page);
        at = end;
    }
}

fn changed_clip() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((change(), any::<bool>()), 0..6);
    (select(seeds()), changes, any::<bool>()).prop_map(|(mut clip, changes, sealed)| {
        for (change, near_start) in &changes {
            apply(change, *near_start, &mut clip);
        }
        if sealed {
            seal_pages(&mut clip);
        }
        clip
    })
}

/// Few or many frames of an MP3, and between them what makes players take it for something else.
fn mp3_of_systems() -> impl Strategy<Value = Vec<u8>> {
    // 8 kbit/s at 8 kHz.
    let frame = [&[0xFF, 0xE3, 0x18, 0xC0][..], &[0; 68]].concat();
    let repeats_itself = [&frame[..24], &[0xFF, 0xE3, 0x18, 0xC0].repeat(4), &frame[40..]].concat();
    let parts = vec![
        frame.repeat(2),
        repeats_itself,
        b"ID3\x04\0\0\0\0\0\x14".to_vec(),
        [0; 50].to_vec(),
        vec![0x55; 2_000],
        b"\0\0\x01\xBA\x44\0\x04\0".to_vec(),
        b"\0\0\x01\xBB\0\x06".to_vec(),
        b"\0\0\x01\xC0\0\x40\x80\0".to_vec(),
        b"\0\0\x01\xE0\0\x08\xFF\x21\0\x01\0\x01".to_vec(),
        [b"G\x41\0\x10\0\0\x01\xC0".to_vec(), vec![0; 180]].concat(),
    ];
    (0..9usize, vec(select(parts), 0..40))
        .prop_map(move |(frames, parts)| [frame.repeat(frames), parts.concat()].concat())
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    let starts: Vec<&[u8]> = vec![
        b"",
        b"OggS\0\x02",
        b"RIFF\xFF\xFF\xFF\xFFWAVEfmt \x10\0\0\0",
        b"RF64\xFF\xFF\xFF\xFFWAVEds64\x1C\0\0\0",
        b"ID3\x03\0\0\0\0\0\x05",
        b"\xFF\xFB\x90\0",
    ];
    (select(starts), vec(any::<u8>(), 0..2_000))
        .prop_map(|(start, rest)| [start, &rest[..]].concat())
}

/// Six times as many cases as usual; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.saturating_mul(6),
        failure_persistence: None,
        // A failure is worth a smaller example, but not ten minutes.
        max_shrink_time: 5_000,
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_verdict_does_not_depend_on_the_pieces(
        clip in prop_oneof![3 => changed_clip(), 1 => mp3_of_systems()],
        cuts in vec(any::<Index>(), 0..40),
    ) {
        let places = cut(&clip, &cuts);
        prop_assert_eq!(verdict(&pieces(&clip, &places)), verdict(&[&clip]));
    }

    #[test]
    fn no_clip_makes_the_gate_or_the_second_look_panic(
        clip in prop_oneof![changed_clip(), noise()],
    ) {
        if let Ok(media) = verdict(&[&clip]) {
            prop_assert_eq!(media.bytes, clip.len() as u64);
            let allowed = 100..=60_500;
            // Of what is converted the whole verdict counts: before, its length may be a claim.
            if media.container.deliverable().is_some() {
                let _ = inspect(&clip, &media);
                prop_assert!(allowed.contains(&media.duration_ms));
            } else if let Ok(proven) = judge(&clip, &LIMITS) {
                prop_assert!(allowed.contains(&proven.duration_ms));
            }
        }
    }

    #[test]
    fn the_second_look_survives_a_verdict_about_another_clip(
        clip in noise(),
        other in select(seeds()),
    ) {
        if let Ok(media) = verdict(&[&other]) {
            // Any verdict is right; a panic is not.
            let _ = inspect(&clip, &media);
        }
    }

    #[test]
    fn noise_is_refused_at_its_sixteenth_byte(noise in vec(any::<u8>(), 16..200)) {
        let known = [&b"OggS"[..], b"RIFF", b"RF64", b"ID3", b"\xFF"];
        prop_assume!(!known.iter().any(|magic| noise.starts_with(magic)));
        let mut gate = Gate::new(LIMITS);
        prop_assert!(gate.feed(&noise[..16]).is_err());
    }
}

#[test]
fn pieces_of_any_size_give_the_same_verdict() {
    for label in labels() {
        let clip = clip(&label.file);
        let whole = verdict(&[&clip]);
        for piece_bytes in [1, 2, 3, 5, 16, 61, 255, 1_021, 4_096, 65_536] {
            let pieces: Vec<&[u8]> = clip.chunks(piece_bytes).collect();
            assert_eq!(verdict(&pieces), whole, "{} by {piece_bytes} bytes", label.file);
        }
    }
}

#[test]
fn a_clip_is_refused_for_its_length_at_one_byte_and_for_good() {
    // Their one page jumps over the limit by far.
    let jumps = ["hostile/gap-of-a-minute.opus.ogg", "hostile/granules-say-a-year.opus.ogg"];
    // A FLAC stream does not tell its frames apart, and the table of an MP4 that stands behind its
    // packets is no witness: how long they play shows where they are decoded.
    let claims = ["encoders/60.6-s.flac", "encoders/60.6-s.m4a"];
    for label in labels().iter().filter(|label| label.verdict() == "audio-too-long") {
        let clip = clip(&label.file);
        let mut gate = Gate::new(LIMITS);
        let at = clip.iter().position(|byte| gate.feed(&[*byte]).is_err());
        let refusal = judge(&clip, &LIMITS).unwrap_err();
        let is_claim = claims.contains(&label.file.as_str());
        assert_eq!(at.is_none(), is_claim, "{}", label.file);
        if let Some(at) = at {
            let again = gate.feed(&clip[at + 1..]);
            assert_eq!(again, Err(refusal.clone()), "{}", label.file);
        }
        let ClipRefusal::TooLong { at_least_ms, .. } = refusal else { panic!("{refusal}") };
        // Not later than the frame or page that crosses the limit.
        let is_jump = jumps.contains(&label.file.as_str());
        assert!(
            (60_501..61_500).contains(&at_least_ms) || is_jump,
            "{}: {at_least_ms} ms",
            label.file
        );
    }
}
