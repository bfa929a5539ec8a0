//! Ogg pages made to order, for clips that no encoder would write. Knows nothing of `audio`; its
//! checksum is the plain definition.

/// Flags of a page header.
pub(crate) const CONTINUES: u8 = 1;
pub(crate) const BEGINS: u8 = 2;
pub(crate) const ENDS: u8 = 4;

/// One page that holds whole packets.
pub(crate) fn page(serial: u32, flags: u8, granule: i64, packets: &[&[u8]]) -> Vec<u8> {
    let mut lacing = Vec::new();
    for packet in packets {
        lacing.extend(std::iter::repeat_n(255u8, packet.len() / 255));
        lacing.push((packet.len() % 255) as u8);
    }
    raw_page(serial, flags, granule, &lacing, &packets.concat())
}

/// One page with any segment table.
pub(crate) fn raw_page(
    serial: u32,
    flags: u8,
    granule: i64,
    lacing: &[u8],
    body: &[u8],
) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend(serial.to_le_bytes());
    page.extend([0; 8]);
    page.push(u8::try_from(lacing.len()).unwrap());
    page.extend(lacing);
    page.extend(body);
    seal(&mut page);
    page
}

/// Puts the right checksum into a page.
pub(crate) fn seal(page: &mut [u8]) {
    page[22..26].fill(0);
    let mut crc = 0u32;
    for byte in page.iter() {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            crc = if crc >> 31 == 1 { crc << 1 ^ 0x04C1_1DB7 } else { crc << 1 };
        }
    }
    page[22..26].copy_from_slice(&crc.to_le_bytes());
}

/// The two header pages of an Opus stream.
pub(crate) fn opus_headers(serial: u32, channels: u8, pre_skip: u16) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend(pre_skip.to_le_bytes());
    head.extend([0x80, 0xBB, 0, 0, 0, 0, 0]);
    let mut pages = page(serial, BEGINS, 0, &[&head]);
    pages.extend(page(serial, 0, 0, &[b"OpusTags\0\0\0\0\0\0\0\0"]));
    pages
}

/// The pages of a clip, one slice each.
pub(crate) fn pages(mut clip: &[u8]) -> Vec<&[u8]> {
    let mut pages = Vec::new();
    while !clip.is_empty() {
        let segments = usize::from(clip[26]);
        let body: usize = clip[27..27 + segments].iter().map(|length| usize::from(*length)).sum();
        let (page, rest) = clip.split_at(27 + segments + body);
        pages.push(page);
        clip = rest;
    }
    pages
}

/// A clip with the audio pages of another over and over, as one stream with granules that go on.
pub(crate) fn repeated(clip: &[u8], times: i64) -> Vec<u8> {
    let granule = |page: &[u8]| i64::from_le_bytes(page[6..14].try_into().unwrap());
    let (headers, audio): (Vec<&[u8]>, Vec<&[u8]>) =
        pages(clip).into_iter().partition(|page| granule(page) == 0);
    let span = granule(audio[audio.len() - 1]);
    let mut out = headers.concat();
    for time in 0..times {
        for page in &audio {
            let mut page = page.to_vec();
            page[5] &= !ENDS;
            let shifted = granule(&page) + time * span;
            page[6..14].copy_from_slice(&shifted.to_le_bytes());
            seal(&mut page);
            out.extend(page);
        }
    }
    out
}
