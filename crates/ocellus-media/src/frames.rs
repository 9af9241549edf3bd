//! How many frames animations have, from the structure of their files. A damaged file has those that come before the damage.

/// Image blocks of a GIF file.
pub(crate) fn of_gif(bytes: &[u8]) -> u32 {
    const IMAGE: u8 = 0x2c;
    const EXTENSION: u8 = 0x21;
    let palette = |flags: u8| {
        if flags & 0x80 == 0 {
            0
        } else {
            3 << ((flags & 7) + 1)
        }
    };
    let mut at = 13 + bytes.get(10).map_or(0, |&flags| palette(flags));
    let mut frames = 0;
    loop {
        match bytes.get(at) {
            Some(&IMAGE) => {
                frames += 1;
                at += 11 + bytes.get(at + 9).map_or(0, |&flags| palette(flags));
            }
            Some(&EXTENSION) => at += 2,
            _ => return frames.max(1),
        }
        while let Some(&length) = bytes.get(at).filter(|&&length| length > 0) {
            at += 1 + usize::from(length);
        }
        at += 1;
    }
}

/// The count in a PNG file's animation header.
pub(crate) fn of_png(bytes: &[u8]) -> u32 {
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 12) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        match &head[4..8] {
            b"acTL" => return u32::from_be_bytes([head[8], head[9], head[10], head[11]]).max(1),
            b"IDAT" => return 1,
            _ => at += 12 + length as usize,
        }
    }
    1
}

/// Frame chunks of a WebP file.
pub(crate) fn of_webp(bytes: &[u8]) -> u32 {
    let (mut at, mut frames) = (12, 0);
    while let Some(head) = bytes.get(at..at + 8) {
        frames += u32::from(&head[..4] == b"ANMF");
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        at += 8 + length + length % 2;
    }
    frames.max(1)
}
