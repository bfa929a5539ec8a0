//! The edit list of an MP4 track (ISO/IEC 14496-12 §8.6.6): which part of the packets is played.
//!
//! What was cut out of a recording is still in the file, and must not be delivered: a list of more
//! parts than one is refused.

use crate::domain::ClipRefusal;

use super::mp4_boxes::{child, descend, number_32, number_64, versioned};
use super::mp4_track::rescale;
use super::playtime::unsupported;

/// The one part that is played; all where the list is empty or not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// On the track's clock.
    start_ticks: u64,
    /// On the movie's clock, and how fast that is; `None`: to the end.
    played: Option<(u64, u32)>,
}

/// Reads the list of a track; nothing is to be heard of its empty parts.
pub(super) fn read(moov: &[u8], trak: &[u8]) -> Result<Edit, ClipRefusal> {
    let Some(elst) = descend(trak, &[b"edts", b"elst"]) else { return Ok(Edit::default()) };
    let entry_bytes = if elst.first() == Some(&0) { 12 } else { 20 };
    let told = number_32(elst, 4).unwrap_or(0) as usize;
    let entries = elst.get(8..).unwrap_or_default().chunks_exact(entry_bytes).take(told);
    let mut parts = entries.filter_map(part);
    let Some((duration, start_ticks)) = parts.next() else { return Ok(Edit::default()) };
    if parts.next().is_some() {
        return Err(unsupported("MP4 with an edit list of several parts"));
    }
    let movie_scale = child(moov, b"mvhd").and_then(|mvhd| {
        let (_, at) = versioned(mvhd, 4)?;
        let (_, at) = versioned(mvhd, at)?;
        number_32(mvhd, at)
    });
    let played = movie_scale.filter(|_| duration > 0).map(|scale| (duration, scale));
    Ok(Edit { start_ticks, played })
}

/// Duration and start of an entry that is not empty; an empty one starts at -1.
fn part(entry: &[u8]) -> Option<(u64, u64)> {
    let (duration, start) = if entry.len() == 12 {
        (u64::from(number_32(entry, 0)?), i64::from(number_32(entry, 4)? as i32))
    } else {
        (number_64(entry, 0)?, number_64(entry, 8)? as i64)
    };
    Some((duration, u64::try_from(start).ok()?))
}

impl Edit {
    /// Samples that are left out at the beginning, and those that are played behind them at most,
    /// where the track's clock has `timescale` ticks a second.
    pub(super) fn samples(&self, rate_hz: u32, timescale: u32) -> (u64, Option<u64>) {
        let played = self.played.and_then(|(ticks, scale)| rescale(ticks, rate_hz, scale));
        (rescale(self.start_ticks, rate_hz, timescale).unwrap_or(0), played)
    }
}
