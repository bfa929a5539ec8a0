//! Reading bits: in the order of Vorbis, the least significant of each byte first (Vorbis I §2.1),
//! and in that of MPEG and FLAC, the most significant first.

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

/// A place in bytes whose most significant bits come first. Reading past the end gives `None`.
#[derive(Debug)]
pub(super) struct MsbReader<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl<'a> MsbReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> MsbReader<'a> {
        MsbReader { bytes, bit: 0 }
    }

    /// The next 57 bits or more, on the left of a word that is filled up with zeros.
    fn window(&self) -> u64 {
        let from = self.bytes.get(self.bit / 8..).unwrap_or_default();
        let word = from.first_chunk::<8>().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word[..from.len()].copy_from_slice(from);
            word
        });
        u64::from_be_bytes(word) << (self.bit % 8)
    }

    /// The next `count` bits, at most 32.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        let window = self.window();
        self.skip(count.into())?;
        Some(window.checked_shr(64 - count).unwrap_or(0) as u32)
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

    /// Steps over zeros and the one behind them; how many zeros there were.
    pub(super) fn zeros(&mut self) -> Option<u32> {
        let mut zeros = 0;
        loop {
            let here = self.window().leading_zeros();
            if here < 57 {
                self.skip(u64::from(here) + 1)?;
                return Some(zeros + here);
            }
            self.skip(57)?;
            zeros += 57;
        }
    }

    /// Bytes that have been begun.
    pub(super) fn bytes_begun(&self) -> usize {
        self.bit.div_ceil(8)
    }
}

#[cfg(test)]
mod tests {
    use super::MsbReader;

    #[test]
    fn the_most_significant_bit_comes_first_and_zeros_may_be_many() {
        let mut bits = MsbReader::new(&[0b1010_0001, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!((bits.read(3), bits.zeros(), bits.read(0)), (Some(5), Some(4), Some(0)));
        assert_eq!((bits.read(8), bits.bytes_begun()), (Some(0xFF), 2));
        assert_eq!((bits.zeros(), bits.bytes_begun()), (Some(8 * 8 + 7), 11));
        assert_eq!((bits.zeros(), bits.read(32)), (None, None));
    }
}
