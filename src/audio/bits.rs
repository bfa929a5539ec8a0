//! Reading bits in the order of Vorbis: least significant bit of each byte first (Vorbis I §2.1).

/// A place in a packet. Reading past the end gives `None`.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, bit: 0 }
    }

    /// The next `count` bits, at most 32.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        let end = self.bit.checked_add(count as usize)?;
        if end > self.bytes.len().checked_mul(8)? {
            return None;
        }
        let from = self.bytes.get(self.bit / 8..)?;
        let word = from.first_chunk::<8>().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word[..from.len()].copy_from_slice(from);
            word
        });
        let value = u64::from_le_bytes(word) >> (self.bit % 8);
        self.bit = end;
        Some((value & ((1 << count) - 1)) as u32)
    }

    /// The next bit as a flag.
    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.read(1)? == 1)
    }

    /// Steps over `count` bits.
    pub(super) fn skip(&mut self, count: u64) -> Option<()> {
        let end = usize::try_from(count).ok()?.checked_add(self.bit)?;
        if end > self.bytes.len().checked_mul(8)? {
            return None;
        }
        self.bit = end;
        Some(())
    }
}
