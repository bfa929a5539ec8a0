//! Where the packets of an unfragmented MP4 file lie: the tables inside its `stbl` box
//! (ISO/IEC 14496-12 §8.6.1 and §8.7).

use crate::domain::ClipRefusal;

use super::mp4_boxes::{child, number_32, number_64};
use super::mp4_fragment::{EQUAL_PACKETS_MAX, PACKETS_MAX, Place};
use super::playtime::corrupted;

/// The packets that the tables tell of, in the order of their places. None where the file keeps all
/// of them in fragments.
pub(super) fn places(stbl: &[u8]) -> Result<Vec<Place>, ClipRefusal> {
    let Some(sizes) = child(stbl, b"stsz") else { return Ok(Vec::new()) };
    let equal_bytes = number_32(sizes, 4).unwrap_or(0);
    let count = number_32(sizes, 8).unwrap_or(0) as usize;
    let count_max = if equal_bytes == 0 { PACKETS_MAX } else { EQUAL_PACKETS_MAX };
    if count > count_max {
        return Err(corrupted(format!("an MP4 table of {count} packets, more than {count_max}")));
    }
    let places = lay_out(stbl, sizes, equal_bytes, count);
    let mut places = places.ok_or_else(|| corrupted("the tables of the MP4 file do not fit"))?;
    places.sort_by_key(|place| place.offset);
    Ok(places)
}

fn lay_out(stbl: &[u8], sizes: &[u8], equal_bytes: u32, count: usize) -> Option<Vec<Place>> {
    let mut places = Vec::with_capacity(count);
    if count == 0 {
        return Some(places);
    }
    let runs = child(stbl, b"stsc")?;
    let (offsets, is_long) = match child(stbl, b"stco") {
        Some(offsets) => (offsets, false),
        None => (child(stbl, b"co64")?, true),
    };
    let chunks = number_32(offsets, 4)?;
    let mut run = 0;
    for chunk in 0..chunks {
        // Entries: first chunk (from 1), packets in each chunk from there on, description.
        while number_32(runs, 8 + 12 * (run + 1)).is_some_and(|first| first <= chunk + 1)
            && run + 1 < number_32(runs, 4)? as usize
        {
            run += 1;
        }
        let in_chunk = number_32(runs, 8 + 12 * run + 4)?;
        let at = chunk as usize;
        let mut offset = if is_long {
            number_64(offsets, 8 + 8 * at)?
        } else {
            u64::from(number_32(offsets, 8 + 4 * at)?)
        };
        for _ in 0..in_chunk {
            if places.len() == count {
                return Some(places);
            }
            let bytes = match equal_bytes {
                0 => number_32(sizes, 12 + 4 * places.len())?,
                equal => equal,
            };
            places.push(Place { offset, bytes });
            offset = offset.checked_add(u64::from(bytes))?;
        }
    }
    Some(places)
}

/// How long all packets are said to be, in ticks of the track's clock.
pub(super) fn ticks(stbl: &[u8]) -> u64 {
    let Some(times) = child(stbl, b"stts") else { return 0 };
    let entries = times.get(8..).unwrap_or_default().as_chunks::<8>().0;
    let ticks = entries.iter().map(|entry| {
        let count = number_32(entry, 0).unwrap_or(0);
        u64::from(count) * u64::from(number_32(entry, 4).unwrap_or(0))
    });
    ticks.fold(0, u64::saturating_add)
}
