//! MPEG program streams that pass for MP3: players take one for what it is by start codes, which
//! may stand anywhere between MP3 headers, and play what its packets carry.
//!
//! Measured with ffmpeg 5.1.9, which looks at the first 2,048 bytes of a file, then at twice as
//! many, up to 1 MiB, until it is sure; it steps over one tag in front. Seven frames in a row at
//! the front make it sure of an MP3, and nothing behind those bytes counts, unless they make it
//! surer of a program stream: by three packs and as many packets, or by packets alone, 13 of audio
//! or seven of video. Fewer bytes make it sure by a pack, a system header and a packet. Where
//! fewer frames stand at the front it looks on, and at the end of the file or 1 MiB a pack with a
//! packet or a system header is enough, or two packets. A packet within another is none to it. As
//! little is enough for other formats without a head, as AC-3, so that what has few frames at the
//! front and then something else is no MP3.

use super::heads::Heads;
use super::mpeg::HeaderBytes;

/// As many bytes as players look at at most, and at least, to find out what a file is.
pub(super) const LOOK_BYTES_MAX: u64 = 1024 * 1024;
const LOOK_BYTES_MIN: u64 = 2_048;

/// With which every start code begins (ISO/IEC 13818-1, 2.4.3.7 and 2.5.3.4).
const START: &[u8] = &[0, 0, 1];
const PACK: u8 = 0xBA;
const SYSTEM_HEADER: u8 = 0xBB;
const PRIVATE: u8 = 0xBD;
const EXTENDED: u8 = 0xFD;

/// A packet's start code and length, and behind both what may be stuffing (ISO/IEC 11172-1,
/// 2.4.3.3), buffer size and times.
const START_BYTES: usize = 6 + STUFFING_BYTES_MAX + 2 + 10;
const STUFFING_BYTES_MAX: usize = 16;
/// Fewer than players ask for: what is cut off where they stop looking they may take for up to
/// three more, or fewer, than there are.
const PACKETS: u32 = 4;
const PACKETS_OF_FEW_FRAMES: u32 = 2;

/// The look into one clip.
#[derive(Debug)]
pub(super) struct ProgramSearch {
    /// Of the file, in front of the first byte that is searched.
    bytes_before: u64,
    bytes: u64,
    frames: FirstFrames,
    starts: Heads<START_BYTES>,
    counts: Counts,
    is_over: bool,
}

impl ProgramSearch {
    pub(super) fn new(bytes_before: u64) -> ProgramSearch {
        ProgramSearch {
            bytes_before,
            bytes: 0,
            frames: FirstFrames::new(),
            starts: Heads::new(START),
            counts: Counts::default(),
            is_over: false,
        }
    }

    /// Takes the next bytes; how many bytes since the search began make it a program stream.
    pub(super) fn sees(&mut self, bytes: &[u8]) -> Option<u64> {
        if self.is_over {
            return None;
        }
        let bytes = self.up_to(self.end(), bytes);
        self.frames.sees(bytes);
        let end = self.end();
        let bytes = self.up_to(end, bytes);
        self.bytes += bytes.len() as u64;
        self.finds(bytes).or_else(|| if self.bytes == end { self.ends() } else { None })
    }

    /// The clip is over: whether it is a program stream after all.
    pub(super) fn ends(&mut self) -> Option<u64> {
        if std::mem::replace(&mut self.is_over, true) {
            return None;
        }
        let end = self.bytes;
        self.frames.end(end);
        // To players zeros follow.
        self.finds(&[0; START_BYTES]).map(|at| at.min(end))
    }

    /// Where players look no further, if by there an MP3 that has only begun is something else, of
    /// which there is as much as a look.
    pub(super) fn lacks_frames(&self) -> Option<u64> {
        let Some(Found::Fewer { at }) = self.frames.found.filter(|_| self.is_over) else {
            return None;
        };
        let is_mp3 = self.frames.frames == 0 || self.bytes - at < LOOK_BYTES_MIN;
        (!is_mp3).then_some(self.bytes)
    }

    fn finds(&mut self, bytes: &[u8]) -> Option<u64> {
        let (counts, mut is_at) = (&mut self.counts, None);
        self.starts.any(bytes, |ended, head| {
            is_at = counts.count(ended, &head).then_some(ended);
            is_at.is_some()
        });
        let few_at = match self.frames.found {
            Some(Found::Fewer { at }) => self.counts.two_packets_at.map(|two| two.max(at)),
            _ => None,
        };
        is_at.into_iter().chain(few_at).min()
    }

    /// Where players look no further, by the bytes so far.
    fn end(&self) -> u64 {
        let looked_at = match self.frames.found {
            Some(Found::Enough { at }) => (self.bytes_before + at).next_power_of_two(),
            _ => LOOK_BYTES_MAX,
        };
        looked_at.max(LOOK_BYTES_MIN).saturating_sub(self.bytes_before)
    }

    fn up_to<'a>(&self, end: u64, bytes: &'a [u8]) -> &'a [u8] {
        let left = usize::try_from(end - self.bytes).unwrap_or(usize::MAX);
        &bytes[..bytes.len().min(left)]
    }
}

/// What of a program stream there was.
#[derive(Debug, Default)]
struct Counts {
    has_pack: bool,
    /// A system header or a packet, valid or not.
    has_more: bool,
    packets: u32,
    /// Where start codes of packets count again.
    packet_ends_at: u64,
    two_packets_at: Option<u64>,
}

impl Counts {
    /// Takes what follows a start code; whether it is a program stream by now.
    fn count(&mut self, ended: u64, head: &[u8; START_BYTES]) -> bool {
        let (id, begins) = (head[3], ended - START_BYTES as u64);
        let is_audio = matches!(id, 0xC0..=0xDF);
        let is_video = matches!(id, 0xE0..=0xEF);
        let is_packet = is_audio || is_video || matches!(id, PRIVATE | EXTENDED);
        self.has_pack |= id == PACK && (head[4] & 0xC0 == 0x40 || head[4] & 0xF0 == 0x20);
        self.has_more |= id == SYSTEM_HEADER || is_packet;
        if is_packet && begins >= self.packet_ends_at && is_valid(head) {
            let bytes = u64::from(u16::from_be_bytes([head[4], head[5]]));
            match id {
                EXTENDED => {}
                _ if is_video => self.packet_ends_at = begins + bytes,
                _ => self.packet_ends_at = begins + bytes + 4,
            }
            self.packets += match id {
                PRIVATE => 0,
                // Where it ends cannot be told; none has so much.
                _ if stuffing_bytes(head) > STUFFING_BYTES_MAX => PACKETS,
                _ => 1,
            };
            if self.packets >= PACKETS_OF_FEW_FRAMES && self.two_packets_at.is_none() {
                self.two_packets_at = Some(ended);
            }
        }
        self.has_pack && self.has_more || self.packets >= PACKETS
    }
}

fn stuffing_bytes(head: &[u8; START_BYTES]) -> usize {
    head[6..].iter().take_while(|byte| **byte == 0xFF).count()
}

/// Whether players take it for a packet by what follows its length, in MPEG-2 or in MPEG-1.
fn is_valid(head: &[u8; START_BYTES]) -> bool {
    let times = head[7] & 0xC0;
    let is_mpeg2 =
        head[6] & 0xC0 == 0x80 && (times == 0 || times != 0x40 && times >> 2 == head[9] & 0xF0);
    let stuffing = stuffing_bytes(head);
    if is_mpeg2 || stuffing > STUFFING_BYTES_MAX {
        return true;
    }
    let mut rest = &head[6 + stuffing..];
    if rest[0] & 0xC0 == 0x40 {
        rest = &rest[2..];
    }
    let marked = |places: &[usize]| places.iter().all(|place| rest[*place] & 1 == 1);
    match rest[0] & 0xF0 {
        0x20 => marked(&[0, 2, 4]),
        0x30 => marked(&[0, 2, 4, 5, 7, 9]),
        _ => rest[0] == 0x0F,
    }
}

/// So many frames in a row at the front are enough.
const FRAMES: u32 = 7;
/// In a frame that holds its own header so often players see none.
const REPEATS: u32 = 3;
/// What of a header is compared.
const REPEATED: u32 = 0xFFFE_0CCF;

/// The frames at the front, as many as count.
#[derive(Debug)]
struct FirstFrames {
    heads: Heads<4>,
    bytes: u64,
    frames: u32,
    header: u32,
    repeats: u32,
    frame_ends_at: u64,
    found: Option<Found>,
}

/// What there is at the front, and how many bytes tell it.
#[derive(Clone, Copy, Debug)]
enum Found {
    Enough { at: u64 },
    Fewer { at: u64 },
}

impl FirstFrames {
    fn new() -> FirstFrames {
        FirstFrames {
            heads: Heads::new(&[0xFF]),
            bytes: 0,
            frames: 0,
            header: 0,
            repeats: 0,
            frame_ends_at: 0,
            found: None,
        }
    }

    fn sees(&mut self, bytes: &[u8]) {
        if self.found.is_some() {
            return;
        }
        self.bytes += bytes.len() as u64;
        let (mut frames, mut header, mut repeats) = (self.frames, self.header, self.repeats);
        let (mut ends_at, mut fewer_at) = (self.frame_ends_at, None);
        self.heads.any(bytes, |ended, head| {
            let (at, word) = (ended - 4, u32::from_be_bytes(head));
            if at < ends_at {
                repeats += u32::from(word & REPEATED == header & REPEATED);
                fewer_at = (repeats == REPEATS).then_some(ended);
                return fewer_at.is_some();
            }
            match HeaderBytes::parse(head) {
                HeaderBytes::Layer3(frame) if at == ends_at && frames < FRAMES => {
                    (frames, header, repeats) = (frames + 1, word, 0);
                    ends_at += u64::from(frame.frame_bytes);
                    false
                }
                _ => true,
            }
        });
        (self.frames, self.header, self.repeats) = (frames, header, repeats);
        self.frame_ends_at = ends_at;
        let at = ends_at + 4;
        self.found = match fewer_at {
            Some(at) => Some(Found::Fewer { at }),
            None if self.bytes < at => None,
            None if frames == FRAMES => Some(Found::Enough { at }),
            None => Some(Found::Fewer { at }),
        };
    }

    /// No more are looked at.
    fn end(&mut self, at: u64) {
        self.found = self.found.or(Some(Found::Fewer { at }));
    }
}
