//! A box of an MP4 file that has to lie in memory whole to be read, `moov` or `moof`, without what
//! is of no use in it: titles and pictures, which may be larger than all the rest.

use crate::domain::ClipRefusal;

use super::mp4_boxes::{self, HEADER_BYTES_MAX};
use super::playtime::corrupted;

/// The longest such box: more than the tables for a minute of 2.5 ms packets.
const BYTES_MAX: usize = 512 * 1024;

/// The box inside that is under way.
#[derive(Clone, Copy, Debug, Default)]
enum Inside {
    #[default]
    Header,
    Kept {
        bytes_left: u64,
    },
    Skipped {
        bytes_left: u64,
    },
}

/// The body of the box as it comes in.
#[derive(Debug, Default)]
pub(super) struct WholeBox {
    inside: Inside,
    head: [u8; HEADER_BYTES_MAX],
    head_bytes: usize,
    kept: Vec<u8>,
}

impl WholeBox {
    /// Takes the next bytes. Refuses what is too long without what is stepped over.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), ClipRefusal> {
        while let Some((first, behind_first)) = bytes.split_first() {
            let part_of =
                |bytes_left: u64| bytes.split_at(bytes_left.min(bytes.len() as u64) as usize);
            bytes = match self.inside {
                Inside::Header => {
                    self.head[self.head_bytes] = *first;
                    self.head_bytes += 1;
                    self.read_header();
                    behind_first
                }
                Inside::Kept { bytes_left } => {
                    let (part, rest) = part_of(bytes_left);
                    self.kept.extend_from_slice(part);
                    self.inside = Inside::Kept { bytes_left: bytes_left - part.len() as u64 };
                    rest
                }
                Inside::Skipped { bytes_left } => {
                    let (part, rest) = part_of(bytes_left);
                    self.inside = Inside::Skipped { bytes_left: bytes_left - part.len() as u64 };
                    rest
                }
            };
            if matches!(
                self.inside,
                Inside::Kept { bytes_left: 0 } | Inside::Skipped { bytes_left: 0 }
            ) {
                self.inside = Inside::Header;
            }
            if self.kept.len() > BYTES_MAX {
                return Err(corrupted(format!(
                    "the description of the MP4 file has more than {BYTES_MAX} bytes"
                )));
            }
        }
        Ok(())
    }

    fn read_header(&mut self) {
        let head = &self.head[..self.head_bytes];
        let (bytes_left, is_skipped) = match mp4_boxes::header(head) {
            Ok(None) => return,
            Ok(Some(header)) => {
                (header.body_bytes.unwrap_or(u64::MAX), matches!(&header.kind, b"udta" | b"meta"))
            }
            // No reader gets past this.
            Err(_) => (u64::MAX, true),
        };
        self.inside = if is_skipped {
            Inside::Skipped { bytes_left }
        } else {
            self.kept.extend_from_slice(head);
            Inside::Kept { bytes_left }
        };
        self.head_bytes = 0;
    }

    /// The body of the box, which is complete.
    pub(super) fn finish(self) -> Vec<u8> {
        self.kept
    }
}
