//! The checksum of Ogg pages (RFC 3533 §6): polynomial 0x04C11DB7, most significant bit first,
//! start value 0, no inversion.
//!
//! That is the register of CRC-32/BZIP2, without its start value and its last inversion.

use crc_fast::{CrcAlgorithm, Digest};

/// The checksum after `bytes`, when it was `crc` before them.
pub(super) fn update(crc: u32, bytes: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Bzip2, crc.into());
    digest.update(bytes);
    digest.get_state() as u32
}

#[cfg(test)]
mod tests {
    use super::update;

    #[test]
    fn agrees_with_the_definition_for_any_length_and_split() {
        let bytes: Vec<u8> = (0..2_500u32).map(|n| (n * 151 % 256) as u8).collect();
        for length in (0..bytes.len()).step_by(7) {
            let mut expected = 0u32;
            for byte in &bytes[..length] {
                expected ^= u32::from(*byte) << 24;
                for _ in 0..8 {
                    let carry = expected >> 31 == 1;
                    expected = expected << 1 ^ if carry { 0x04C1_1DB7 } else { 0 };
                }
            }
            let (first, second) = bytes[..length].split_at(length / 3);
            assert_eq!(update(update(0, first), second), expected, "{length} bytes");
        }
    }
}
