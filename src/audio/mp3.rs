//! The walk over an MP3 stream: finds frame after frame by their headers and adds up what they
//! play. No frame is decoded and none is kept.
//!
//! Tags that may stand between or behind the frames (ID3v1, ID3v2, APE, Lyrics3) are searched for
//! frames like anything else, because players do, and so is all junk; a stream of layer I or II in
//! there is refused. Tags are only not held against the clip as junk, each as far as its own size
//! reaches.

use crate::domain::{ClipRefusal, Codec, Note};

use super::mp3_front::FrontSearch;
use super::mp3_other_layer::OtherLayerSearch;
use super::mp3_systems::SystemsSearch;
use super::mp3_tags::Mp3Tags;
use super::mpeg::{FrameHeader, HeaderBytes, OTHER_FRAME_BYTES_MAX};
use super::playtime::{Found, PlaytimeLimit, check_junk, corrupted, microseconds, unsupported};
use super::xing::{self, EncoderHeader};

/// A rate that every MPEG sample rate divides, so that sums over mixed rates stay exact.
const TICKS_HZ: u32 = 14_112_000;
/// Consecutive headers that end a search for the next frame.
const HEADERS_TO_RESUME: u8 = 2;

/// The state between two pieces of an MP3 stream.
#[derive(Debug)]
pub(super) struct Mp3Walk {
    limit: PlaytimeLimit,
    /// No clip is longer than this, so it bounds the junk while the clip still comes.
    bytes_max: u64,
    bytes: u64,
    /// The last bytes seen that belong to no frame yet; `window_bytes` of them count.
    window: u32,
    window_bytes: u8,
    /// The frame under way and how much of it is still to come; 0 between frames.
    frame: Option<FrameHeader>,
    frame_bytes_left: u32,
    /// The first frame's beginning, to look for an encoder header.
    first_frame: [u8; xing::HEAD_BYTES],
    first_frame_bytes: usize,
    /// Headers in a row that are still wanted before frames count.
    headers_wanted: u8,
    /// Enough headers in a row were seen once: it is an MP3.
    locked: bool,
    /// Whole frames that wait for that.
    waiting_ticks: u64,
    waiting_bytes: u64,
    /// The first frame that counted: says rate and channels.
    format: Option<FrameHeader>,
    encoder_header: Option<EncoderHeader>,
    ticks: u64,
    /// Of frames without neighbours, which players play: they tell nothing of the length, but must
    /// not make it too long.
    lone_ticks: u64,
    /// Ticks that make the clip too long, those to be trimmed included.
    ticks_refused: u64,
    junk_bytes: u64,
    tags: Mp3Tags,
    other_layer: Option<OtherLayerSearch>,
    systems: Box<SystemsSearch>,
    front: FrontSearch,
}

impl Mp3Walk {
    /// A walk whose first byte is that of a frame header. `headers_to_lock` consecutive headers
    /// prove that it is an MP3; no clip is longer than `bytes_max`. `systems` may have seen tags.
    pub(super) fn new(
        limit: PlaytimeLimit,
        headers_to_lock: u8,
        bytes_max: u64,
        systems: Box<SystemsSearch>,
    ) -> Mp3Walk {
        Mp3Walk {
            limit,
            bytes_max,
            bytes: 0,
            window: 0,
            window_bytes: 0,
            frame: None,
            frame_bytes_left: 0,
            first_frame: [0; xing::HEAD_BYTES],
            first_frame_bytes: 0,
            headers_wanted: headers_to_lock,
            locked: false,
            waiting_ticks: 0,
            waiting_bytes: 0,
            format: None,
            encoder_header: None,
            ticks: 0,
            lone_ticks: 0,
            ticks_refused: limit.samples_refused(TICKS_HZ),
            junk_bytes: 0,
            tags: Mp3Tags::default(),
            other_layer: None,
            systems,
            front: FrontSearch::default(),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), ClipRefusal> {
        let Some((count, refusal)) = self.what_else(bytes) else { return self.walk(bytes) };
        // Whichever comes first, however the clip comes in pieces.
        self.walk(&bytes[..count])?;
        Err(refusal)
    }

    /// Why these bytes are refused though they may hold frames, and after how many.
    fn what_else(&mut self, bytes: &[u8]) -> Option<(usize, ClipRefusal)> {
        let systems = self.systems.finds(bytes);
        let systems = systems.map(|(count, systems)| (count, unsupported(systems.name())));
        let front = self.front.finds(bytes);
        let front = front
            .map(|(count, whose)| (count, unsupported(format!("{whose} that begins like MP3"))));
        front.into_iter().chain(systems).min_by_key(|(count, _)| *count)
    }

    fn walk(&mut self, mut bytes: &[u8]) -> Result<(), ClipRefusal> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            bytes = if self.frame_bytes_left > 0 {
                self.in_frame(bytes)?
            } else if self.window_bytes == 0
                && let Some((head, rest)) = bytes.split_first_chunk::<4>()
                && let HeaderBytes::Layer3(header) = HeaderBytes::parse(*head)
            {
                self.search_other_layer(head)?;
                self.frame_begins(header, *head)?;
                rest
            } else {
                let (first, rest) = bytes.split_at(1);
                self.between_frames(first[0])?;
                rest
            };
        }
        Ok(())
    }

    fn in_frame<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ClipRefusal> {
        let count = bytes.len().min(self.frame_bytes_left as usize);
        let (part, rest) = bytes.split_at(count);
        // What only looks like a frame may cover a frame of another layer.
        self.search_other_layer(part)?;
        if self.format.is_none() {
            let room = &mut self.first_frame[self.first_frame_bytes..];
            let kept = room.len().min(part.len());
            room[..kept].copy_from_slice(&part[..kept]);
            self.first_frame_bytes += kept;
        }
        self.frame_bytes_left -= count as u32;
        if self.frame_bytes_left == 0 {
            self.frame_ends()?;
        }
        Ok(rest)
    }

    fn between_frames(&mut self, byte: u8) -> Result<(), ClipRefusal> {
        self.search_other_layer(&[byte])?;
        self.window = self.window << 8 | u32::from(byte);
        self.window_bytes += 1;
        if self.window_bytes < 4 {
            return Ok(());
        }
        let head = self.window.to_be_bytes();
        if let HeaderBytes::Layer3(header) = HeaderBytes::parse(head) {
            return self.frame_begins(header, head);
        }
        self.chain_breaks()?;
        if self.other_layer.is_none() {
            self.other_layer = Some(OtherLayerSearch::new());
            self.search_other_layer(&head)?;
        }
        self.tags.see(head);
        self.window_bytes = 3;
        self.add_junk(1)
    }

    fn frame_begins(&mut self, header: FrameHeader, head: [u8; 4]) -> Result<(), ClipRefusal> {
        if self.headers_wanted > 0 {
            if self.frame.is_some_and(|previous| !previous.is_kin(&header)) {
                self.chain_breaks()?;
            }
            self.headers_wanted -= 1;
            if self.headers_wanted == 0 {
                self.locked = true;
                self.ticks += std::mem::take(&mut self.waiting_ticks);
                self.waiting_bytes = 0;
            }
        }
        if self.headers_wanted == 0 {
            self.tags.end();
        }
        self.window_bytes = 0;
        if self.format.is_none() {
            self.first_frame[..4].copy_from_slice(&head);
            self.first_frame_bytes = 4;
        }
        self.frame = Some(header);
        self.frame_bytes_left = header.frame_bytes - 4;
        Ok(())
    }

    fn frame_ends(&mut self) -> Result<(), ClipRefusal> {
        let Some(header) = self.frame else { return Ok(()) };
        if self.format.is_none() {
            self.format = Some(header);
            let first_frame = &self.first_frame[..self.first_frame_bytes];
            self.encoder_header = xing::parse(&header, first_frame);
            if self.encoder_header.is_some() {
                self.ticks_refused = self.ticks_refused.saturating_add(self.trimmed_ticks(true));
                return Ok(());
            }
        }
        let ticks = u64::from(header.samples) * u64::from(TICKS_HZ / header.sample_rate_hz);
        if self.headers_wanted > 0 {
            self.waiting_ticks += ticks;
            self.waiting_bytes += u64::from(header.frame_bytes);
            return Ok(());
        }
        self.ticks += ticks;
        self.check_long()
    }

    fn check_long(&self) -> Result<(), ClipRefusal> {
        if self.ticks + self.lone_ticks < self.ticks_refused {
            return Ok(());
        }
        self.limit.check_long(self.played_us(true) + microseconds(self.lone_ticks, TICKS_HZ))
    }

    /// Where a frame should begin, there is none, or one of another kind.
    fn chain_breaks(&mut self) -> Result<(), ClipRefusal> {
        if !self.locked {
            return Err(unsupported("bytes that begin like MP3 but hold no run of frames"));
        }
        self.frame = None;
        self.lone_ticks += std::mem::take(&mut self.waiting_ticks);
        self.headers_wanted = HEADERS_TO_RESUME;
        self.check_long()?;
        let waiting = std::mem::take(&mut self.waiting_bytes);
        self.add_junk(waiting)
    }

    /// While no frame is due, and in the frames behind as far as one of another layer could reach.
    fn search_other_layer(&mut self, bytes: &[u8]) -> Result<(), ClipRefusal> {
        let Some(search) = &mut self.other_layer else { return Ok(()) };
        // To the byte, however the clip comes in pieces.
        let in_frames = self.headers_wanted == 0;
        let left = OTHER_FRAME_BYTES_MAX + 1 - search.bytes_since_junk;
        let reach = if in_frames { bytes.len().min(left) } else { bytes.len() };
        if search.finds_stream(&bytes[..reach]) {
            return Err(unsupported("MP3 with MPEG audio of layer I or II between or behind"));
        }
        let since_junk = if in_frames { search.bytes_since_junk + bytes.len() } else { 0 };
        search.bytes_since_junk = since_junk;
        if search.bytes_since_junk > OTHER_FRAME_BYTES_MAX {
            self.other_layer = None;
        }
        Ok(())
    }

    fn add_junk(&mut self, count: u64) -> Result<(), ClipRefusal> {
        self.junk_bytes += self.tags.take(count);
        check_junk(self.junk_bytes, self.bytes_max)
    }

    /// What the encoder says it added at the start and, if the end is there, at the end.
    fn trimmed_ticks(&self, has_end: bool) -> u64 {
        let (Some(encoder), Some(format)) = (&self.encoder_header, &self.format) else { return 0 };
        let at_end = if has_end { encoder.padding_samples } else { 0 };
        u64::from(encoder.delay_samples + at_end) * u64::from(TICKS_HZ / format.sample_rate_hz)
    }

    fn played_us(&self, has_end: bool) -> u64 {
        microseconds(self.ticks.saturating_sub(self.trimmed_ticks(has_end)), TICKS_HZ)
    }

    fn header_us(&self) -> Option<u64> {
        let (encoder, format) = (self.encoder_header?, self.format?);
        let samples = u64::from(encoder.frames?) * u64::from(format.samples);
        Some(microseconds(samples, format.sample_rate_hz))
    }

    pub(super) fn finish(mut self) -> Result<Found, ClipRefusal> {
        let cut_off = self.frame_bytes_left > 0;
        if !self.locked && !cut_off && self.window_bytes == 0 {
            // Nothing but whole frames, only fewer than a longer clip has to show.
            self.ticks = std::mem::take(&mut self.waiting_ticks);
            self.waiting_bytes = 0;
        } else if !self.locked {
            return Err(corrupted("the clip ends before it has enough MP3 frames in a row"));
        }
        let Some(format) = self.format.filter(|_| self.ticks > 0) else {
            return Err(corrupted("no whole MP3 frame"));
        };
        self.add_junk(self.waiting_bytes + u64::from(self.window_bytes))?;
        check_junk(self.junk_bytes, self.bytes)?;
        if let Some(systems) = self.systems.ends() {
            return Err(unsupported(systems.name()));
        }
        let body_us = microseconds(self.ticks, TICKS_HZ);
        // What is to be dropped lies at the end that the header knows of.
        let has_end = self.header_us() == Some(body_us);
        let mut notes = Vec::new();
        if cut_off {
            notes.push(Note::Truncated);
        }
        if self.header_us().is_some_and(|header_us| header_us.abs_diff(body_us) > 1_000_000) {
            notes.push(Note::HeaderDurationWrong);
        }
        if self.junk_bytes > 0 {
            notes.push(Note::JunkBytes);
        }
        Ok(Found {
            codec: Codec::Mp3,
            played_us: self.played_us(has_end),
            sample_rate_hz: format.sample_rate_hz,
            channels: format.channels,
            notes,
            is_certain: true,
        })
    }
}
