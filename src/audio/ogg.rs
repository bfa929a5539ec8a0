//! The walk over an Ogg bitstream (RFC 3533): page after page, with the checksum of each verified,
//! exactly one audio stream at a time. Streams may follow each other ("chained"); streams side by
//! side ("multiplexed") are refused.
//!
//! A page counts when it is whole and its checksum is right, never before. Behind bytes that belong
//! to no page the next one is looked for, as players do, so nothing can hide there.

use crate::domain::{ClipRefusal, Note};

use super::ogg_crc;
use super::ogg_link::Link;
use super::playtime::{Found, PlaytimeLimit, check_junk, corrupted, unsupported};

const MAGIC: &[u8] = b"OggS";
const MAGIC_BYTES: usize = MAGIC.len();

/// A page header without its segment table.
const HEADER_BYTES: usize = 27;
/// A page header with the longest segment table.
const HEADER_BYTES_MAX: usize = HEADER_BYTES + 255;

/// So much may all streams behind the first leave out together. Some players know pre-skip and last
/// granule at the ends of the file only, and play every packet between.
const LEFT_OUT_US_MAX: u64 = 1_000_000;

/// The state between two pieces of an Ogg bitstream.
#[derive(Debug)]
pub(super) struct OggWalk {
    limit: PlaytimeLimit,
    /// No clip is longer than this, so it bounds the junk while the clip still comes.
    bytes_max: u64,
    junk_bytes: u64,
    bytes: u64,
    /// Offset of the page under way, and its size.
    page_at: u64,
    page_bytes: u64,
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    crc: u32,
    body_bytes_left: usize,
    /// The next entry of the segment table.
    segment: usize,
    /// What is left of the run of segments that belong to one packet, and whether it ends there.
    run_bytes: usize,
    run_ends_packet: bool,
    /// Bytes of a packet whose beginning is missing are stepped over.
    skips_packet: bool,
    in_body: bool,
    link: Option<Link>,
    link_pages: u64,
    /// The streams before the one under way.
    links_before: u32,
    played_before_us: u64,
    /// What those behind the first have that is not played.
    left_out_us: u64,
    has_audio: bool,
    is_wrong: bool,
    /// What granules leave out and is played all the same.
    hidden_us: u64,
    is_cut: bool,
    format: Option<Format>,
}

type Format = (crate::domain::Codec, u32, u16);

impl OggWalk {
    pub(super) fn new(limit: PlaytimeLimit, bytes_max: u64) -> OggWalk {
        OggWalk {
            limit,
            bytes_max,
            junk_bytes: 0,
            bytes: 0,
            page_at: 0,
            page_bytes: 0,
            body_bytes_left: 0,
            header: [0; HEADER_BYTES_MAX],
            header_bytes: 0,
            crc: 0,
            segment: 0,
            run_bytes: 0,
            run_ends_packet: false,
            skips_packet: false,
            in_body: false,
            link: None,
            link_pages: 0,
            links_before: 0,
            played_before_us: 0,
            left_out_us: 0,
            has_audio: false,
            is_wrong: false,
            hidden_us: 0,
            is_cut: false,
            format: None,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ClipRefusal> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            bytes = if self.in_body { self.in_body(bytes)? } else { self.in_header(bytes)? };
        }
        Ok(())
    }

    fn in_header<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ClipRefusal> {
        let wanted = match self.header_bytes {
            0..MAGIC_BYTES => MAGIC_BYTES,
            MAGIC_BYTES..HEADER_BYTES => HEADER_BYTES,
            _ => HEADER_BYTES + usize::from(self.header[26]),
        };
        let count = bytes.len().min(wanted - self.header_bytes);
        let (part, rest) = bytes.split_at(count);
        self.header[self.header_bytes..][..count].copy_from_slice(part);
        self.header_bytes += count;
        if self.header_bytes == MAGIC_BYTES && !self.header.starts_with(MAGIC) {
            self.header.copy_within(1..MAGIC_BYTES, 0);
            self.header_bytes -= 1;
            self.page_at += 1;
            self.junk_bytes += 1;
            check_junk(self.junk_bytes, self.bytes_max)?;
        }
        if self.header_bytes >= HEADER_BYTES
            && self.header_bytes == HEADER_BYTES + usize::from(self.header[26])
        {
            self.page_begins()?;
        }
        Ok(rest)
    }

    fn page_begins(&mut self) -> Result<(), ClipRefusal> {
        let header = &mut self.header[..self.header_bytes];
        if header[4] != 0 {
            let version = header[4];
            return Err(corrupted(format!("Ogg version {version} is unknown")));
        }
        self.crc = ogg_crc::update(0, &header[..22]);
        self.crc = ogg_crc::update(self.crc, &[0; 4]);
        self.crc = ogg_crc::update(self.crc, &header[26..]);
        self.body_bytes_left =
            header[HEADER_BYTES..].iter().map(|lacing| usize::from(*lacing)).sum();
        self.page_bytes = (header.len() + self.body_bytes_left) as u64;
        let serial = u32::from_le_bytes([header[14], header[15], header[16], header[17]]);
        let (continues, begins_stream) = (header[5] & 1 != 0, header[5] & 2 != 0);
        if begins_stream {
            self.link_begins(serial)?;
        }
        let Some(link) = self.link.as_mut() else {
            return Err(corrupted("the first Ogg page does not begin a stream"));
        };
        if link.serial != serial {
            return Err(corrupted(format!(
                "the Ogg page at byte {} belongs to a stream that never began",
                self.page_at
            )));
        }
        if !continues && link.is_in_packet() {
            link.drop_packet();
            self.is_cut = true;
        }
        self.skips_packet = continues && !link.is_in_packet();
        self.link_pages += 1;
        self.segment = 0;
        self.in_body = true;
        self.next_run()
    }

    fn link_begins(&mut self, serial: u32) -> Result<(), ClipRefusal> {
        if self.link.is_some() && self.link_pages == 1 {
            return Err(unsupported("Ogg with several streams side by side"));
        }
        self.close_link();
        self.link = Some(Link::new(serial));
        self.link_pages = 0;
        Ok(())
    }

    /// Adds the stream that has ended to those before.
    fn close_link(&mut self) {
        let Some(link) = self.link.take() else { return };
        self.left_out_us = self.left_out_us.saturating_add(self.left_out_by(&link));
        self.links_before += 1;
        self.played_before_us = self.played_before_us.saturating_add(link.played_us());
        self.has_audio |= link.has_audio();
        self.is_wrong |= link.granules_are_wrong();
        self.hidden_us = self.hidden_us.saturating_add(link.hidden_us());
        self.is_cut |= link.is_in_packet();
        self.format = self.format.or(link.format());
    }

    fn left_out_by(&self, link: &Link) -> u64 {
        if self.links_before == 0 { 0 } else { link.left_out_us() }
    }

    /// All streams up to here, with what they leave out if it is more than there is a reason for.
    fn played_us(&self) -> u64 {
        let (mut played_us, mut left_out_us) = (self.played_before_us, self.left_out_us);
        if let Some(link) = &self.link {
            played_us = played_us.saturating_add(link.played_us());
            left_out_us = left_out_us.saturating_add(self.left_out_by(link));
        }
        played_us.saturating_add(if left_out_us > LEFT_OUT_US_MAX { left_out_us } else { 0 })
    }

    fn in_body<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ClipRefusal> {
        let (mut body, rest) = bytes.split_at(bytes.len().min(self.body_bytes_left));
        self.crc = ogg_crc::update(self.crc, body);
        self.body_bytes_left -= body.len();
        while !body.is_empty() {
            body = if self.run_bytes <= body.len() && self.run_is_audio_packet() {
                self.whole_packets(body)?
            } else {
                self.packet_part(body)?
            };
        }
        Ok(rest)
    }

    fn run_is_audio_packet(&self) -> bool {
        self.run_ends_packet
            && !self.skips_packet
            && self.link.as_ref().is_some_and(Link::is_between_audio_packets)
    }

    /// Hands on audio packets that lie whole in this piece, which are nearly all; gives back the
    /// rest of the piece.
    fn whole_packets<'a>(&mut self, mut body: &'a [u8]) -> Result<&'a [u8], ClipRefusal> {
        let Some(link) = self.link.as_mut() else { return Ok(body) };
        let mut lacings = self.header[HEADER_BYTES..self.header_bytes][self.segment..].iter();
        while let Some((packet, others)) = body.split_at_checked(self.run_bytes) {
            link.audio_packet(packet)?;
            body = others;
            match lacings.next() {
                Some(lacing @ 1..=254) => {
                    self.run_bytes = usize::from(*lacing);
                    self.segment += 1;
                }
                _ => {
                    self.next_run()?;
                    break;
                }
            }
        }
        Ok(body)
    }

    /// Hands on the next bytes of the packet under way; gives back the rest of the piece.
    fn packet_part<'a>(&mut self, body: &'a [u8]) -> Result<&'a [u8], ClipRefusal> {
        let (part, others) = body.split_at(body.len().min(self.run_bytes));
        if let Some(link) = self.link.as_mut().filter(|_| !self.skips_packet) {
            link.packet_part(part)?;
        }
        self.run_bytes -= part.len();
        if self.run_bytes == 0 {
            self.run_ends()?;
            self.next_run()?;
        }
        Ok(others)
    }

    /// Finds the next run of segments that has bytes; the page ends when there is none.
    fn next_run(&mut self) -> Result<(), ClipRefusal> {
        loop {
            let table = &self.header[HEADER_BYTES..self.header_bytes];
            if self.segment >= table.len() {
                return self.page_ends();
            }
            self.run_bytes = 0;
            self.run_ends_packet = false;
            for lacing in &table[self.segment..] {
                self.segment += 1;
                self.run_bytes += usize::from(*lacing);
                if *lacing < 255 {
                    self.run_ends_packet = true;
                    break;
                }
            }
            if self.run_bytes > 0 {
                return Ok(());
            }
            self.run_ends()?;
        }
    }

    fn run_ends(&mut self) -> Result<(), ClipRefusal> {
        if !self.run_ends_packet {
            return Ok(());
        }
        if std::mem::take(&mut self.skips_packet) {
            return Ok(());
        }
        self.link.as_mut().map_or(Ok(()), Link::packet_ends)
    }

    fn page_ends(&mut self) -> Result<(), ClipRefusal> {
        let header = &self.header;
        let stated = u32::from_le_bytes([header[22], header[23], header[24], header[25]]);
        if stated != self.crc {
            return Err(corrupted(format!(
                "the Ogg page at byte {} has a wrong checksum",
                self.page_at
            )));
        }
        let (granule, _) = header[6..].split_first_chunk::<8>().unwrap_or((&[0xFF; 8], &[]));
        let granule = i64::from_le_bytes(*granule);
        let is_last = header[5] & 4 != 0;
        self.page_at += self.page_bytes;
        self.header_bytes = 0;
        self.in_body = false;
        let Some(link) = self.link.as_mut() else { return Ok(()) };
        link.page_ends(granule, is_last);
        if let (Some((first, ..)), Some((codec, ..))) = (self.format, link.format())
            && codec != first
        {
            return Err(unsupported("Ogg with streams of two codecs, one behind the other"));
        }
        self.limit.check_long(self.played_us())
    }

    pub(super) fn finish(mut self) -> Result<Found, ClipRefusal> {
        let mut is_cut = self.in_body || self.header_bytes > 0;
        if !self.in_body && self.header_bytes < MAGIC_BYTES {
            is_cut &= MAGIC.starts_with(&self.header[..self.header_bytes]);
            self.junk_bytes += if is_cut { 0 } else { self.header_bytes as u64 };
        }
        self.close_link();
        let Some((codec, sample_rate_hz, channels)) = self.format.filter(|_| self.has_audio) else {
            return Err(corrupted("no whole Ogg page with audio"));
        };
        check_junk(self.junk_bytes, self.bytes)?;
        let mut notes = Vec::new();
        if is_cut || self.is_cut {
            notes.push(Note::Truncated);
        }
        if self.is_wrong || self.hidden_us.max(self.left_out_us) > LEFT_OUT_US_MAX {
            notes.push(Note::HeaderDurationWrong);
        }
        if self.links_before > 1 {
            notes.push(Note::Chained);
        }
        if self.junk_bytes > 0 {
            notes.push(Note::JunkBytes);
        }
        Ok(Found {
            codec,
            played_us: self.played_us(),
            sample_rate_hz,
            channels,
            notes,
            is_certain: true,
        })
    }
}
