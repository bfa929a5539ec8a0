//! MPEG systems that pass for MP3: players take a transport stream for one by how often its sync
//! bytes come, a program stream by its start codes (`mp3_program`), and play what they carry, which
//! may last longer than the MP3 headers say.
//!
//! Measured with ffmpeg 5.1, between frames of 960 and of 1,440 bytes: of ten packets of 188, 192
//! or 204 bytes seven make no transport stream, and nine do; eight of 188 bytes at the front are
//! enough. The same frames over and over may have as many sync bytes, so that a packet is asked for
//! too whose payload begins with a start code: without one nothing of a transport stream is played.

use super::heads::Heads;
use super::mp3_program::{LOOK_BYTES_MAX, ProgramSearch};

/// Lengths of a packet (ISO/IEC 13818-1; with a time code; with error correction).
const PACKET_BYTES: [u64; 3] = [188, 192, 204];
const PHASES: usize = 188 + 192 + 204;
const SYNC: &[u8] = b"G";
/// So many packets of ten are no coincidence, and fewer than players ask for.
const PACKETS: u32 = 6;
const OF_PACKETS: u32 = 10;

/// Payloads are looked for in blocks of so many bytes; none begins further behind its head.
const BLOCK_BYTES: usize = 2_048;
const PLACES: u64 = 4_096;

/// With which what a packet carries begins.
const START: &[u8] = &[0, 0, 1];

/// The look into one clip.
#[derive(Debug)]
pub(super) struct SystemsSearch {
    transport: Transport,
    program: ProgramSearch,
    bytes: u64,
    region_left: usize,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Systems {
    Transport,
    Program,
    /// Whatever players make of it.
    Unknown,
}

impl SystemsSearch {
    /// A search that begins behind so many bytes of the file.
    pub(super) fn new(bytes_before: u64) -> SystemsSearch {
        SystemsSearch {
            transport: Transport::new(),
            program: ProgramSearch::new(bytes_before),
            bytes: 0,
            region_left: LOOK_BYTES_MAX as usize,
        }
    }

    /// Takes the next bytes; what the clip is where it is no MP3, and the number of them that make
    /// it so.
    pub(super) fn finds(&mut self, bytes: &[u8]) -> Option<(usize, Systems)> {
        let before = self.bytes;
        self.bytes += bytes.len() as u64;
        let (region, rest) = bytes.split_at(bytes.len().min(self.region_left));
        self.region_left -= region.len();
        let mut transport_at = self.transport.sees(region);
        // What a transport stream carries may begin anywhere.
        if transport_at.is_none() && self.transport.likely_at.is_some() {
            transport_at = self.transport.sees(rest);
        }
        let found = match (transport_at, self.program.sees(bytes)) {
            (Some(at), program_at) if program_at.is_none_or(|other| at <= other) => {
                (at, Systems::Transport)
            }
            (_, Some(at)) => (at, Systems::Program),
            _ => (self.program.lacks_frames()?, Systems::Unknown),
        };
        Some(((found.0 - before) as usize, found.1))
    }

    /// The clip is over: what it is after all.
    pub(super) fn ends(&mut self) -> Option<Systems> {
        let program = self.program.ends().map(|_| Systems::Program);
        program.or_else(|| self.program.lacks_frames().map(|_| Systems::Unknown))
    }
}

impl Systems {
    /// As refusals name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Systems::Transport => "an MPEG transport stream",
            Systems::Program => "an MPEG program stream",
            Systems::Unknown => "bytes that begin like MP3 but hold no run of frames",
        }
    }
}

/// Sync bytes of a transport stream, and what they lead to.
#[derive(Debug)]
struct Transport {
    syncs: Heads<5>,
    marks: Box<[Marks; PHASES]>,
    /// Where they had come often enough.
    likely_at: Option<u64>,
    starts: Heads<3>,
    /// Where a payload begins that tells what it is, each at its remainder by `PLACES`.
    payloads: Box<[u64]>,
    /// Where the first of those has begun with a start code.
    start_at: Option<u64>,
}

/// Which of the last packets at one phase began with a sync byte.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    packet: u16,
    seen: u16,
}

impl Transport {
    fn new() -> Transport {
        Transport {
            syncs: Heads::new(SYNC),
            marks: Box::new([Marks::default(); PHASES]),
            likely_at: None,
            starts: Heads::new(START),
            payloads: vec![0; PLACES as usize].into(),
            start_at: None,
        }
    }

    /// How many bytes of the clip make it a transport stream, where these are among them.
    fn sees(&mut self, bytes: &[u8]) -> Option<u64> {
        bytes.chunks(BLOCK_BYTES).find_map(|block| {
            let (marks, payloads) = (&mut self.marks, &mut self.payloads);
            let mut likely_at = self.likely_at;
            self.syncs.any(block, |ended, head| {
                if likely_at.is_none() && is_packet(head) && marks_enough(marks, ended) {
                    likely_at = Some(ended);
                }
                if let Some(at) = payload_at(ended, head) {
                    payloads[(at % PLACES) as usize] = at;
                }
                false
            });
            self.likely_at = likely_at;
            if self.start_at.is_none() {
                let (payloads, start_at) = (&self.payloads, &mut self.start_at);
                self.starts.any(block, |ended, _| {
                    let at = ended - START.len() as u64;
                    *start_at = (payloads[(at % PLACES) as usize] == at).then_some(ended);
                    start_at.is_some()
                });
            }
            Some(likely_at?.max(self.start_at?))
        })
    }
}

/// Where the payload of a packet begins that is the first of something (ISO/IEC 13818-1, 2.4.3.3).
fn payload_at(ended: u64, [_, flags, _, control, length]: [u8; 5]) -> Option<u64> {
    let begins = flags & 0x40 != 0 && control & 0x10 != 0;
    let adaptation = if control & 0x20 != 0 { 1 + u64::from(length) } else { 0 };
    begins.then_some(ended - 1 + adaptation)
}

/// A null packet, or one with a payload or an adaptation field.
fn is_packet(head: [u8; 5]) -> bool {
    let id = u16::from_be_bytes([head[1], head[2]]) & 0x1FFF;
    id == 0x1FFF || head[3] & 0x30 != 0
}

fn marks_enough(marks: &mut [Marks; PHASES], ended: u64) -> bool {
    let mut rest = &mut marks[..];
    for packet_bytes in PACKET_BYTES {
        let (phases, others) = rest.split_at_mut(packet_bytes as usize);
        rest = others;
        let (phase, packet) = (ended % packet_bytes, (ended / packet_bytes) as u16);
        let Some(marks) = phases.get_mut(phase as usize) else { continue };
        let apart = u32::from(packet - marks.packet);
        let seen = if apart < OF_PACKETS { marks.seen << apart } else { 0 };
        *marks = Marks { packet, seen: (seen | 1) & ((1 << OF_PACKETS) - 1) };
        if marks.seen.count_ones() >= PACKETS {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::Transport;

    /// Null packets have no payload to begin: more of them than their numbers can count.
    #[test]
    fn what_is_likely_for_long_is_counted_no_further() {
        let mut packet = [0xFF; 188];
        packet[..4].copy_from_slice(&[0x47, 0x1F, 0xFF, 0x10]);
        let packets = packet.repeat(1_000);
        let mut transport = Transport::new();
        for _ in 0..70 {
            assert_eq!(transport.sees(&packets), None);
        }
        assert!(transport.likely_at.is_some());
    }
}
