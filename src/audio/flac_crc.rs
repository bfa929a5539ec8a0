//! The checksums of FLAC frames (RFC 9639 §9.1.8 and §9.3): most significant bit first, start value
//! 0, no inversion.

/// Of a frame's header, its checksum included: 0 where it is right. Polynomial 0x07.
pub(super) fn header(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| HEADER[usize::from(crc ^ byte)])
}

/// Of a whole frame, its checksum included: 0 where it is right. Polynomial 0x8005.
pub(super) fn frame(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| crc << 8 ^ FRAME[usize::from((crc >> 8) as u8 ^ byte)])
}

const HEADER: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        // The register stands in the upper half, so that one table serves both lengths.
        table[at] = (remainder((at as u16) << 8, 0x07 << 8) >> 8) as u8;
        at += 1;
    }
    table
};

const FRAME: [u16; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = remainder((at as u16) << 8, 0x8005);
        at += 1;
    }
    table
};

const fn remainder(mut register: u16, polynomial: u16) -> u16 {
    let mut bit = 0;
    while bit < 8 {
        let carry = register >> 15 == 1;
        register <<= 1;
        if carry {
            register ^= polynomial;
        }
        bit += 1;
    }
    register
}

#[cfg(test)]
mod tests {
    /// The check values of CRC-8/SMBUS and CRC-16/UMTS, which these are, for "123456789".
    #[test]
    fn the_published_check_values_come_out() {
        assert_eq!(super::header(b"123456789"), 0xF4);
        assert_eq!(super::frame(b"123456789"), 0xFEE8);
    }
}
