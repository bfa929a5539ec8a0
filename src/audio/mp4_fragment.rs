//! One fragment of an MP4 file: which bytes of the following `mdat` are which packet
//! (ISO/IEC 14496-12 §8.8).

use crate::domain::ClipRefusal;

use super::mp4_boxes::{child, children, number_32, number_64};
use super::mp4_track::Mp4Track;
use super::playtime::corrupted;

/// Packets that one table may tell of: enough for a minute of the shortest there are, 2.5 ms.
pub(super) const PACKETS_MAX: usize = 32_768;
/// The same where no size is written for each, so that a few bytes can not ask for much memory:
/// enough for a minute of packets of 5 ms.
pub(super) const EQUAL_PACKETS_MAX: usize = 12_288;

/// Where a packet lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From the beginning of the file.
    pub(super) offset: u64,
    pub(super) bytes: u32,
}

/// The packets that a `moof` box tells of, in the order of their places. `moof_at` is where the box
/// begins in the file.
pub(super) fn places(
    moof: &[u8],
    moof_at: u64,
    track: &Mp4Track,
) -> Result<Vec<Place>, ClipRefusal> {
    let mut places = Vec::new();
    for (_, traf) in children(moof).filter(|(kind, _)| kind == b"traf") {
        let Some(tfhd) = child(traf, b"tfhd") else { continue };
        if number_32(tfhd, 4) != Some(track.id) {
            continue;
        }
        let defaults = defaults(tfhd, moof_at, track)
            .ok_or_else(|| corrupted("the header of an MP4 fragment is cut off"))?;
        let mut next_at = defaults.base;
        for (_, trun) in children(traf).filter(|(kind, _)| kind == b"trun") {
            next_at = run(trun, &defaults, next_at, &mut places)?;
        }
    }
    places.sort_by_key(|place| place.offset);
    Ok(places)
}

struct Defaults {
    base: u64,
    bytes: u32,
}

fn defaults(tfhd: &[u8], moof_at: u64, track: &Mp4Track) -> Option<Defaults> {
    let flags = number_32(tfhd, 0)?;
    let mut at = 8;
    let mut defaults = Defaults { base: moof_at, bytes: track.default_bytes };
    if flags & 0x1 != 0 {
        defaults.base = number_64(tfhd, at)?;
        at += 8;
    }
    if flags & 0x2 != 0 {
        at += 4;
    }
    if flags & 0x8 != 0 {
        at += 4;
    }
    if flags & 0x10 != 0 {
        defaults.bytes = number_32(tfhd, at)?;
    }
    Some(defaults)
}

/// Adds the packets of one run; where the next run begins unless it says otherwise.
fn run(
    trun: &[u8],
    defaults: &Defaults,
    next_at: u64,
    places: &mut Vec<Place>,
) -> Result<u64, ClipRefusal> {
    let cut = || corrupted("a run of an MP4 fragment is cut off");
    let flags = number_32(trun, 0).ok_or_else(cut)?;
    let count = number_32(trun, 4).ok_or_else(cut)? as usize;
    let count_max = if flags & 0x200 != 0 { PACKETS_MAX } else { EQUAL_PACKETS_MAX };
    if count > count_max.saturating_sub(places.len()) {
        return Err(corrupted(format!(
            "an MP4 fragment of {count} packets, more than {count_max}"
        )));
    }
    let mut at = 8;
    let mut offset = next_at;
    if flags & 0x1 != 0 {
        let delta = i64::from(number_32(trun, at).ok_or_else(cut)? as i32);
        offset = defaults.base.checked_add_signed(delta).ok_or_else(cut)?;
        at += 4;
    }
    if flags & 0x4 != 0 {
        at += 4;
    }
    let mut field = |bit: u32, default: u32| {
        if flags & bit == 0 {
            return Some(default);
        }
        at += 4;
        number_32(trun, at - 4)
    };
    for _ in 0..count {
        // A duration is only what the writer makes of it; the packets tell theirs themselves.
        field(0x100, 0).ok_or_else(cut)?;
        let bytes = field(0x200, defaults.bytes).ok_or_else(cut)?;
        field(0x400, 0).ok_or_else(cut)?;
        field(0x800, 0).ok_or_else(cut)?;
        if bytes > 0 {
            places.push(Place { offset, bytes });
        }
        offset = offset.checked_add(u64::from(bytes)).ok_or_else(cut)?;
    }
    Ok(offset)
}
