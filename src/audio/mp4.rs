//! The walk over an MP4 file, fragmented or not (ISO/IEC 14496-12): box after box at the top level.
//!
//! Where the description of the packets comes before them, as all live recorders write it, packets
//! are counted as they come by. Where it comes at the end, there is nothing to look at any more:
//! the length is only a claim then, to be proven on the finished clip.
//!
//! Where no box begins, nothing says where the next one might: the rest of the file is junk.

use std::collections::VecDeque;

use crate::domain::{ClipRefusal, Note};

use super::mp4_boxes::{self, BoxHeader, HEADER_BYTES_MAX};
use super::mp4_fragment::{self, PACKETS_MAX, Place};
use super::mp4_table;
use super::mp4_track::{self, Mp4Track, rescale};
use super::mp4_whole::WholeBox;
use super::opus;
use super::packets::{Coding, PacketClock, PacketSink};
use super::playtime::{Found, check_junk, corrupted};

/// The state between two pieces of an MP4 file. Besides, it takes memory for the box that describes
/// the packets, and for what is read from it: at most four times as much as the sender sent for it.
#[derive(Debug)]
pub(super) struct Mp4Walk<S> {
    pub(super) sink: S,
    at: At,
    head: [u8; HEADER_BYTES_MAX],
    head_bytes: usize,
    whole: WholeBox,
    /// Bytes of the file so far; where the box under way begins.
    offset: u64,
    box_at: u64,
    track: Option<Mp4Track>,
    /// The file was described a second time; fragments came behind that.
    has_moov_again: bool,
    is_chained: bool,
    /// Packets still to come, the one under way first.
    places: VecDeque<Place>,
    packet_bytes: u32,
    has_media: bool,
    /// The packets lay before their description.
    is_late: bool,
    /// How long they are said to be, on the track's clock.
    claimed_ticks: u64,
    /// Whether any bytes came since the last description.
    has_begun: bool,
    is_cut: bool,
    /// Packets that all fragments so far tell of.
    packets_told: usize,
    junk_bytes: u64,
}

/// What the next byte belongs to; `None`: to the end of the file.
#[derive(Clone, Copy, Debug)]
enum At {
    Header,
    Whole { kind: [u8; 4], bytes_left: u64 },
    Media { bytes_left: Option<u64> },
    Skip { bytes_left: Option<u64> },
    Junk,
}

impl<S: PacketSink> Mp4Walk<S> {
    pub(super) fn new(sink: S) -> Mp4Walk<S> {
        Mp4Walk {
            sink,
            at: At::Header,
            head: [0; HEADER_BYTES_MAX],
            head_bytes: 0,
            whole: WholeBox::default(),
            offset: 0,
            box_at: 0,
            track: None,
            has_moov_again: false,
            is_chained: false,
            places: VecDeque::new(),
            packet_bytes: 0,
            has_media: false,
            is_late: false,
            claimed_ticks: 0,
            has_begun: false,
            is_cut: false,
            packets_told: 0,
            junk_bytes: 0,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ClipRefusal> {
        while !bytes.is_empty() {
            let (part, rest) = match self.at {
                At::Header => bytes.split_at(1),
                At::Whole { bytes_left, .. } => split(bytes, Some(bytes_left)),
                At::Media { bytes_left } => split(bytes, bytes_left),
                At::Skip { bytes_left } => split(bytes, bytes_left),
                At::Junk => split(bytes, None),
            };
            self.take(part)?;
            self.box_ends()?;
            bytes = rest;
        }
        Ok(())
    }

    fn take(&mut self, part: &[u8]) -> Result<(), ClipRefusal> {
        let count = part.len() as u64;
        let less = |bytes_left: Option<u64>| bytes_left.map(|left| left - count);
        match self.at {
            At::Header => {
                if self.head_bytes == 0 {
                    self.box_at = self.offset;
                }
                self.offset += count;
                return self.header(part);
            }
            At::Whole { kind, bytes_left } => {
                self.whole.take(part)?;
                self.at = At::Whole { kind, bytes_left: bytes_left - count };
            }
            At::Media { bytes_left } => {
                self.media(part)?;
                self.at = At::Media { bytes_left: less(bytes_left) };
            }
            At::Skip { bytes_left } => self.at = At::Skip { bytes_left: less(bytes_left) },
            At::Junk => self.junk_bytes += count,
        }
        self.offset += count;
        Ok(())
    }

    fn header(&mut self, part: &[u8]) -> Result<(), ClipRefusal> {
        for byte in part {
            self.head[self.head_bytes] = *byte;
            self.head_bytes += 1;
        }
        match mp4_boxes::header(&self.head[..self.head_bytes]) {
            Ok(None) => Ok(()),
            Ok(Some(header)) => {
                self.head_bytes = 0;
                self.box_begins(header)
            }
            Err(_) => {
                self.junk_begins();
                Ok(())
            }
        }
    }

    fn junk_begins(&mut self) {
        self.junk_bytes += self.offset - self.box_at;
        self.head_bytes = 0;
        self.at = At::Junk;
    }

    fn box_begins(&mut self, header: BoxHeader) -> Result<(), ClipRefusal> {
        let BoxHeader { kind, body_bytes, .. } = header;
        self.at = match &kind {
            b"moov" | b"moof" => {
                let Some(bytes_left) = body_bytes else {
                    let name = String::from_utf8_lossy(&kind);
                    return Err(corrupted(format!(
                        "the MP4 box {name} does not say where it ends"
                    )));
                };
                At::Whole { kind, bytes_left }
            }
            b"mdat" => {
                (self.has_media, self.has_begun) = (true, true);
                At::Media { bytes_left: body_bytes }
            }
            _ if !kind.iter().all(|byte| (0x20..0x7F).contains(byte) || *byte == 0xA9) => {
                self.junk_begins();
                return Ok(());
            }
            _ => At::Skip { bytes_left: body_bytes },
        };
        Ok(())
    }

    /// Goes on when the box under way is complete, which an empty one is at once.
    fn box_ends(&mut self) -> Result<(), ClipRefusal> {
        match self.at {
            At::Media { bytes_left: Some(0) } | At::Skip { bytes_left: Some(0) } => {}
            At::Whole { kind, bytes_left: 0 } => {
                let whole = std::mem::take(&mut self.whole).finish();
                if &kind == b"moov" { self.moov(&whole)? } else { self.moof(&whole)? }
            }
            _ => return Ok(()),
        }
        self.at = At::Header;
        Ok(())
    }

    fn moov(&mut self, moov: &[u8]) -> Result<(), ClipRefusal> {
        if self.track.is_some() {
            self.has_moov_again = true;
            return Ok(());
        }
        let track = mp4_track::parse(moov)?;
        self.sink.track(&track.audio)?;
        self.track = Some(track);
        let tables = mp4_track::tables(moov).unwrap_or_default();
        self.claimed_ticks = mp4_table::ticks(tables);
        let places = mp4_table::places(tables).or_else(|refusal| {
            // An honest recording of that many packets is just too long.
            self.sink.check_claimed(self.claimed_samples())?;
            Err(refusal)
        });
        self.places = places?.into();
        self.is_late = self.has_media && !self.places.is_empty();
        Ok(())
    }

    /// As many samples as all packets are said to have.
    fn claimed_samples(&self) -> u64 {
        let rate_hz = |track: &Mp4Track| match &track.audio.coding {
            Coding::Opus { .. } => opus::RATE_HZ,
            Coding::Aac(config) => config.sample_rate_hz,
        };
        self.track.as_ref().map_or(0, |track| {
            rescale(self.claimed_ticks, rate_hz(track), track.timescale).unwrap_or(u64::MAX)
        })
    }

    fn moof(&mut self, moof: &[u8]) -> Result<(), ClipRefusal> {
        let Some(track) = &self.track else {
            return Err(corrupted("the MP4 file has a fragment before its description"));
        };
        let places = mp4_fragment::places(moof, self.box_at, track)?;
        // A description costs a few bytes, and its packets time: all together are bounded too.
        self.packets_told += places.len();
        if self.packets_told > PACKETS_MAX {
            let told = self.packets_told;
            return Err(corrupted(format!(
                "MP4 fragments of {told} packets together, more than {PACKETS_MAX}"
            )));
        }
        // Packets of an earlier fragment that did not come. One without any is no loss: WebKit
        // writes its last fragment's description twice.
        self.is_chained |= self.has_moov_again && !places.is_empty();
        self.is_cut |= self.has_begun && !self.places.is_empty();
        self.has_begun = false;
        self.drop_packet();
        self.places = places.into();
        Ok(())
    }

    fn drop_packet(&mut self) {
        self.packet_bytes = 0;
        self.sink.drop_packet();
    }

    /// Hands on those of the bytes that belong to packets.
    fn media(&mut self, mut part: &[u8]) -> Result<(), ClipRefusal> {
        let mut offset = self.offset;
        while let Some(place) = self.places.front().copied().filter(|_| !self.is_late) {
            let wanted = place.offset + u64::from(self.packet_bytes);
            let Some(gap) = wanted.checked_sub(offset) else {
                return Err(corrupted("the packets of the MP4 file lie over each other"));
            };
            let (_, after) = split(part, Some(gap));
            offset += (part.len() - after.len()) as u64;
            let (packet, after) = split(after, Some(u64::from(place.bytes - self.packet_bytes)));
            self.sink.part(packet);
            self.packet_bytes += packet.len() as u32;
            offset += packet.len() as u64;
            part = after;
            if self.packet_bytes < place.bytes {
                break;
            }
            self.packet_ends()?;
        }
        Ok(())
    }

    fn packet_ends(&mut self) -> Result<(), ClipRefusal> {
        self.places.pop_front();
        self.packet_bytes = 0;
        self.sink.end()
    }

    /// The file is over, and `clip` is all of it: hands on the packets that came too early.
    pub(super) fn finish(&mut self, clip: &[u8]) -> Result<Vec<Note>, ClipRefusal> {
        while let Some(place) = self.places.front().copied().filter(|_| self.is_late) {
            let from = usize::try_from(place.offset).ok().and_then(|at| clip.get(at..));
            let Some(packet) = from.and_then(|from| from.get(..place.bytes as usize)) else {
                break;
            };
            self.sink.part(packet);
            self.packet_ends()?;
        }
        self.notes()
    }

    fn notes(&mut self) -> Result<Vec<Note>, ClipRefusal> {
        check_junk(self.junk_bytes, self.offset)?;
        let in_box = match self.at {
            At::Header => self.head_bytes > 0,
            At::Media { bytes_left } | At::Skip { bytes_left } => bytes_left.is_some(),
            At::Whole { .. } => true,
            At::Junk => false,
        };
        self.drop_packet();
        let is_cut = in_box || self.is_cut || !self.places.is_empty();
        let mut notes = Vec::new();
        if is_cut {
            notes.push(Note::Truncated);
        }
        if self.is_chained {
            notes.push(Note::Chained);
        }
        if self.junk_bytes > 0 {
            notes.push(Note::JunkBytes);
        }
        Ok(notes)
    }
}

impl Mp4Walk<PacketClock> {
    /// The file is over for somebody who has not kept it.
    pub(super) fn finish_unseen(mut self) -> Result<Found, ClipRefusal> {
        if !self.is_late {
            let notes = self.notes()?;
            return self.sink.finish(notes, true);
        }
        let places = std::mem::take(&mut self.places);
        let samples = match self.sink.packet_samples() {
            Some(samples) => places.len() as u64 * u64::from(samples),
            None => self.claimed_samples(),
        };
        self.sink.claim(samples);
        let notes = self.notes()?;
        self.sink.finish(notes, false)
    }
}

fn split(bytes: &[u8], bytes_left: Option<u64>) -> (&[u8], &[u8]) {
    let left = bytes_left.map_or(bytes.len() as u64, |left| left.min(bytes.len() as u64));
    bytes.split_at(left as usize)
}
