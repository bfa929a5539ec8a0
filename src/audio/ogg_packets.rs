//! Whole packets out of an Ogg clip that lies in memory and has passed the gate.

const MAGIC: &[u8] = b"OggS\0";

/// As much of a packet as is kept. Comment headers with a picture are longer, audio packets not.
const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Reads the packets of the stream that the first page met belongs to.
#[derive(Debug)]
pub(super) struct OggPackets<'a> {
    rest: &'a [u8],
    serial: Option<[u8; 4]>,
    /// Segment lengths of the page under way that are still to come, and its body.
    lacing: &'a [u8],
    body: &'a [u8],
    packet: Vec<u8>,
    skips_packet: bool,
}

impl<'a> OggPackets<'a> {
    /// From the beginning.
    pub(super) fn new(clip: &'a [u8]) -> OggPackets<'a> {
        OggPackets {
            rest: clip,
            serial: None,
            lacing: &[],
            body: &[],
            packet: Vec::new(),
            skips_packet: false,
        }
    }

    /// Goes on at the first page that begins at or behind `offset` of the clip; a packet that began
    /// before it is left out.
    pub(super) fn jump(&mut self, clip: &'a [u8], offset: usize) {
        let tail = clip.get(offset..).unwrap_or_default();
        let page = tail.windows(MAGIC.len()).position(|bytes| bytes == MAGIC);
        self.rest = page.and_then(|at| tail.get(at..)).unwrap_or_default();
        (self.lacing, self.body) = (&[], &[]);
        self.packet.clear();
    }

    /// The next packet; `None` at the end of the stream or of what can be read of it.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        self.packet.clear();
        loop {
            let Some((&length, lacing)) = self.lacing.split_first() else {
                self.next_page()?;
                continue;
            };
            let (part, body) = self.body.split_at_checked(usize::from(length))?;
            (self.lacing, self.body) = (lacing, body);
            if !self.skips_packet && self.packet.len() < PACKET_BYTES_MAX {
                self.packet.extend_from_slice(part);
            }
            if length < 255 && !std::mem::take(&mut self.skips_packet) {
                return Some(&self.packet);
            }
        }
    }

    /// Goes on with the stream that follows the one that has ended, if there is one.
    pub(super) fn next_link(&mut self) {
        self.serial = None;
    }

    /// Steps over what belongs to no page, as players do.
    fn next_page(&mut self) -> Option<()> {
        let at = self.rest.windows(MAGIC.len()).position(|bytes| bytes == MAGIC)?;
        self.rest = &self.rest[at..];
        let (header, rest) = self.rest.split_first_chunk::<27>()?;
        let serial = [header[14], header[15], header[16], header[17]];
        // A stream that begins ends the one before, whether it has the same number or not.
        let begins_another = header[5] & 2 != 0 && self.serial.is_some();
        if begins_another || *self.serial.get_or_insert(serial) != serial {
            return None;
        }
        let (lacing, rest) = rest.split_at_checked(usize::from(header[26]))?;
        let body_bytes = lacing.iter().map(|length| usize::from(*length)).sum();
        (self.body, self.rest) = rest.split_at_checked(body_bytes)?;
        self.lacing = lacing;
        let continues = header[5] & 1 != 0;
        if !continues {
            self.packet.clear();
        }
        self.skips_packet = continues && self.packet.is_empty();
        Some(())
    }
}
