//! Writes Opus packets as Ogg pages (RFC 3533, RFC 7845). Nothing else goes in: no title, no
//! encoder, no date; whatever the source said beside its audio is left behind.

use super::super::ogg_crc;
use super::super::opus;

/// Samples after which a page is closed: one second.
const PAGE_SAMPLES: u64 = opus::RATE_HZ as u64;
/// Entries of a segment table.
const SEGMENTS_MAX: usize = 255;

const BEGINS: u8 = 2;
const ENDS: u8 = 4;

/// One Opus stream under way.
#[derive(Debug)]
pub(super) struct OggWriter {
    out: Vec<u8>,
    serial: u32,
    sequence: u32,
    lacing: Vec<u8>,
    body: Vec<u8>,
    page_samples: u64,
    /// Samples of all packets so far.
    samples: u64,
}

impl OggWriter {
    /// Begins a stream with its identification header.
    pub(super) fn new(head: &[u8], bytes_expected: usize) -> OggWriter {
        let mut writer = OggWriter {
            out: Vec::with_capacity(bytes_expected),
            // Streams in one file need different ones; there is only one in this.
            serial: 1,
            sequence: 0,
            lacing: Vec::new(),
            body: Vec::new(),
            page_samples: 0,
            samples: 0,
        };
        writer.push(head);
        writer.close_page(BEGINS, 0);
        // A vendor of no name, and no comments (RFC 7845 §5.2).
        writer.push(b"OpusTags\0\0\0\0\0\0\0\0");
        writer.close_page(0, 0);
        writer
    }

    /// Adds a packet that decodes to so many samples, at most 61,200 bytes of it.
    pub(super) fn packet(&mut self, packet: &[u8], samples: u64) {
        let segments = packet.len() / 255 + 1;
        if self.page_samples >= PAGE_SAMPLES || self.lacing.len() + segments > SEGMENTS_MAX {
            self.close_page(0, self.samples);
        }
        self.push(packet);
        self.page_samples += samples;
        self.samples += samples;
    }

    /// Ends the stream; the last `trimmed` samples are not to be played.
    pub(super) fn finish(mut self, trimmed: u64) -> Vec<u8> {
        self.close_page(ENDS, self.samples - trimmed.min(self.page_samples));
        self.out
    }

    fn push(&mut self, packet: &[u8]) {
        self.lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
        self.lacing.push((packet.len() % 255) as u8);
        self.body.extend_from_slice(packet);
    }

    fn close_page(&mut self, flags: u8, granule: u64) {
        let at = self.out.len();
        self.out.extend_from_slice(b"OggS\0");
        self.out.push(flags);
        self.out.extend_from_slice(&granule.to_le_bytes());
        self.out.extend_from_slice(&self.serial.to_le_bytes());
        self.out.extend_from_slice(&self.sequence.to_le_bytes());
        self.out.extend_from_slice(&[0; 4]);
        self.out.push(self.lacing.len() as u8);
        self.out.append(&mut self.lacing);
        self.out.append(&mut self.body);
        let crc = ogg_crc::update(0, &self.out[at..]);
        self.out[at + 22..at + 26].copy_from_slice(&crc.to_le_bytes());
        self.sequence += 1;
        self.page_samples = 0;
    }
}
