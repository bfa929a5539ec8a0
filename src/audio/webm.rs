//! The walk over a WebM file, or a Matroska file with nothing but audio in it (RFC 9559): element
//! after element.
//!
//! Live recorders leave the sizes of `Segment` and `Cluster` open, so the walk is flat: it steps
//! into what only groups other elements and never asks where a group ends. Element ids tell by
//! themselves where they belong.
//!
//! Behind bytes that begin no element of WebM the next cluster is looked for, as players do. One
//! file may follow another, as long as its track is the same.

use crate::domain::{ClipRefusal, Note};

use super::ebml::{self, Element, HEADER_BYTES_MAX, Header};
use super::opus;
use super::packets::{AudioTrack, PacketSink};
use super::playtime::{check_junk, corrupted, unsupported};
use super::webm_element::{
    self, BLOCK, BLOCK_GROUP, CLUSTER, DISCARD_PADDING, EBML, SEGMENT, SIMPLE_BLOCK, TRACKS,
    WHOLE_BYTES_MAX,
};
use super::webm_track::{self, BLOCK_HEAD_BYTES_MAX, BlockHead, Lacing, WebmTrack};

const DOC_TYPE: u32 = 0x4282;

/// Bytes of the longest ids.
const ID_BYTES: usize = 4;

/// The state between two pieces of a WebM file. Takes no memory besides, but for the description
/// of the tracks and for blocks with several packets, at most 64 KiB.
#[derive(Debug)]
pub(super) struct WebmWalk<S> {
    pub(super) sink: S,
    at: At,
    head: [u8; HEADER_BYTES_MAX],
    head_bytes: usize,
    whole: Vec<u8>,
    track: Option<WebmTrack>,
    /// A second file follows the first.
    is_chained: bool,
    offset: u64,
    junk_bytes: u64,
    group: Group,
}

/// What has come of a block group, whose elements may stand in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    None,
    /// Its block is still to come; so much of the end of that is not to be played.
    Open {
        trimmed: u64,
    },
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum At {
    Header,
    /// An element that is read as a whole.
    Whole {
        id: u32,
        bytes_left: u64,
    },
    BlockHead {
        bytes_left: u64,
    },
    Packet {
        bytes_left: u64,
    },
    Skip {
        bytes_left: u64,
    },
    /// Bytes that begin no element, up to the next that certainly does.
    Junk,
}

impl<S: PacketSink> WebmWalk<S> {
    pub(super) fn new(sink: S) -> WebmWalk<S> {
        WebmWalk {
            sink,
            at: At::Header,
            head: [0; HEADER_BYTES_MAX],
            head_bytes: 0,
            whole: Vec::new(),
            track: None,
            is_chained: false,
            offset: 0,
            junk_bytes: 0,
            group: Group::None,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ClipRefusal> {
        while !bytes.is_empty() {
            let before = bytes.len();
            bytes = match self.at {
                At::Header => self.header(bytes)?,
                At::Junk => self.junk(bytes),
                At::Whole { id, bytes_left } => {
                    let (part, rest) = split(bytes, bytes_left);
                    self.whole.extend_from_slice(part);
                    self.at = At::Whole { id, bytes_left: bytes_left - part.len() as u64 };
                    rest
                }
                At::BlockHead { bytes_left } => self.block_head(bytes, bytes_left)?,
                At::Packet { bytes_left } => {
                    let (part, rest) = split(bytes, bytes_left);
                    self.sink.part(part);
                    self.at = At::Packet { bytes_left: bytes_left - part.len() as u64 };
                    rest
                }
                At::Skip { bytes_left } => {
                    let (part, rest) = split(bytes, bytes_left);
                    self.at = At::Skip { bytes_left: bytes_left - part.len() as u64 };
                    rest
                }
            };
            self.offset += (before - bytes.len()) as u64;
            self.element_ends()?;
        }
        Ok(())
    }

    fn header<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ClipRefusal> {
        let (&byte, rest) = bytes.split_first().unwrap_or((&0, bytes));
        self.head[self.head_bytes] = byte;
        self.head_bytes += 1;
        match ebml::header(&self.head[..self.head_bytes]) {
            Header::Part => {}
            Header::Whole(element) if webm_element::may_stand_here(element) => {
                self.head_bytes = 0;
                self.at = self.element_begins(element)?;
            }
            Header::Whole(_) | Header::Invalid => self.junk_begins()?,
        }
        Ok(rest)
    }

    /// What was taken for a header is none, but something may begin within it.
    fn junk_begins(&mut self) -> Result<(), ClipRefusal> {
        let head = self.head;
        let again = &head[1..self.head_bytes];
        self.head_bytes = 0;
        self.junk_bytes += 1;
        self.at = At::Junk;
        self.offset -= again.len() as u64;
        self.feed(again)
    }

    /// Takes one byte of junk. The last four are kept, in which the id of a cluster may stand.
    fn junk<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (&byte, rest) = bytes.split_first().unwrap_or((&0, bytes));
        if self.head_bytes >= ID_BYTES {
            self.head.copy_within(self.head_bytes + 1 - ID_BYTES..self.head_bytes, 0);
            self.head_bytes = ID_BYTES - 1;
        }
        self.head[self.head_bytes] = byte;
        self.head_bytes += 1;
        self.junk_bytes += 1;
        if self.head[..self.head_bytes] == CLUSTER.to_be_bytes() {
            self.junk_bytes -= ID_BYTES as u64;
            self.at = At::Header;
        }
        rest
    }

    fn element_begins(&mut self, element: Element) -> Result<At, ClipRefusal> {
        let Element { id, body_bytes, .. } = element;
        if id == BLOCK_GROUP {
            self.group = Group::Open { trimmed: 0 };
        }
        if matches!(id, SEGMENT | CLUSTER | BLOCK_GROUP) {
            return Ok(At::Header);
        }
        let Some(bytes_left) = body_bytes else {
            return Err(corrupted(format!("the WebM element {id:#x} has no size")));
        };
        match id {
            EBML | DISCARD_PADDING => self.whole_begins(id, bytes_left),
            TRACKS => self.whole_begins(id, bytes_left),
            SIMPLE_BLOCK | BLOCK => {
                if self.track.is_none() {
                    return Err(corrupted("the WebM file has audio before its tracks"));
                }
                Ok(At::BlockHead { bytes_left })
            }
            _ => Ok(At::Skip { bytes_left }),
        }
    }

    fn whole_begins(&mut self, id: u32, bytes_left: u64) -> Result<At, ClipRefusal> {
        if bytes_left > WHOLE_BYTES_MAX {
            return Err(corrupted(format!(
                "the WebM element {id:#x} has {bytes_left} bytes, more than {WHOLE_BYTES_MAX}"
            )));
        }
        Ok(At::Whole { id, bytes_left })
    }

    fn block_head<'a>(
        &mut self,
        bytes: &'a [u8],
        bytes_left: u64,
    ) -> Result<&'a [u8], ClipRefusal> {
        if bytes_left == 0 {
            return Err(corrupted("a WebM block ends within its head"));
        }
        let (&byte, rest) = bytes.split_first().unwrap_or((&0, bytes));
        self.head[self.head_bytes] = byte;
        self.head_bytes += 1;
        let bytes_left = bytes_left - 1;
        let number = self.track.as_ref().map(|track| track.number);
        let Some(head) = webm_track::block_head(&self.head[..self.head_bytes]) else {
            if self.head_bytes >= BLOCK_HEAD_BYTES_MAX || bytes_left == 0 {
                return Err(corrupted("a WebM block has no head"));
            }
            self.at = At::BlockHead { bytes_left };
            return Ok(rest);
        };
        self.at = match head {
            // There is no other track that it could belong to.
            BlockHead { track, .. } if Some(track) != number => {
                self.junk_bytes += self.head_bytes as u64;
                At::Junk
            }
            BlockHead { lacing: Lacing::None, .. } => At::Packet { bytes_left },
            BlockHead { bytes, .. } => {
                self.whole.extend_from_slice(&self.head[..bytes]);
                self.whole_begins(BLOCK, bytes_left)?
            }
        };
        self.head_bytes = 0;
        Ok(rest)
    }

    /// Goes on when the element under way is complete, which an empty one is at once.
    fn element_ends(&mut self) -> Result<(), ClipRefusal> {
        match self.at {
            At::Skip { bytes_left: 0 } => {}
            At::Packet { bytes_left: 0 } => {
                self.sink.end()?;
                self.block_ends();
            }
            At::Whole { id, bytes_left: 0 } => {
                let mut whole = std::mem::take(&mut self.whole);
                self.whole_ends(id, &whole)?;
                whole.clear();
                if id == BLOCK || id == DISCARD_PADDING {
                    self.whole = whole;
                }
            }
            _ => return Ok(()),
        }
        self.at = At::Header;
        Ok(())
    }

    fn whole_ends(&mut self, id: u32, whole: &[u8]) -> Result<(), ClipRefusal> {
        match id {
            EBML => check_doc_type(whole),
            TRACKS => {
                let track = webm_track::parse(whole)?;
                if let Some(first) = &self.track {
                    self.is_chained = true;
                    return if track == *first {
                        Ok(())
                    } else {
                        Err(unsupported("WebM files of different kinds in a row"))
                    };
                }
                let coding = track.coding.clone();
                self.sink.track(&AudioTrack { coding, start_samples: 0, played_samples: None })?;
                self.track = Some(track);
                Ok(())
            }
            DISCARD_PADDING => {
                let bits = 64 - 8 * whole.len().min(8) as u32;
                let ns = ((ebml::unsigned(whole) << bits.min(63)) as i64) >> bits.min(63);
                let samples = u64::try_from(ns).unwrap_or(0).saturating_mul(48) / 1_000_000;
                let trimmed = samples.min(u64::from(opus::RATE_HZ));
                match &mut self.group {
                    Group::Open { trimmed: kept } => *kept = trimmed,
                    Group::None => self.sink.trim_last(trimmed),
                }
                Ok(())
            }
            _ => self.laced_block(whole),
        }
    }

    fn laced_block(&mut self, block: &[u8]) -> Result<(), ClipRefusal> {
        let packets = webm_track::block_head(block)
            .and_then(|head| webm_track::laced(head.lacing, &block[head.bytes..]));
        let Some(packets) = packets else {
            return Err(corrupted("the packets of a WebM block do not fit into it"));
        };
        for packet in packets {
            self.sink.part(packet);
            self.sink.end()?;
        }
        self.block_ends();
        Ok(())
    }

    /// The block of a group has come: what was said before of its end holds.
    fn block_ends(&mut self) {
        if let Group::Open { trimmed } = std::mem::replace(&mut self.group, Group::None)
            && trimmed > 0
        {
            self.sink.trim_last(trimmed);
        }
    }

    /// The file is over; the notes on it.
    pub(super) fn finish(&mut self) -> Result<Vec<Note>, ClipRefusal> {
        check_junk(self.junk_bytes, self.offset)?;
        let is_cut = match self.at {
            At::Header => self.head_bytes > 0,
            At::Junk => false,
            _ => true,
        };
        self.sink.drop_packet();
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

fn split(bytes: &[u8], bytes_left: u64) -> (&[u8], &[u8]) {
    let count = usize::try_from(bytes_left).map_or(bytes.len(), |left| left.min(bytes.len()));
    bytes.split_at(count)
}

fn check_doc_type(header: &[u8]) -> Result<(), ClipRefusal> {
    let doc_type = ebml::children(header).find(|(id, _)| *id == DOC_TYPE);
    let name = doc_type.map_or(&b""[..], |(_, name)| name.trim_ascii_end());
    match name.split(|byte| *byte == 0).next() {
        Some(b"webm" | b"matroska") => Ok(()),
        _ => Err(unsupported("an EBML file that is not WebM")),
    }
}
