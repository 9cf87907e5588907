use integration::packet::sum;
use redirector_common::native::craft::Craft;

/// Frames of `size` bytes of IP payload at most, from their EtherType onwards.
pub fn fragments(craft: &Craft, size: usize, identification: u8) -> Vec<Vec<u8>> {
    let length = craft.frame().bytes.len() - craft.transport();
    split(craft, &vec![size; (length - 1) / size], identification)
}

/// Frames with these numbers of bytes of IP payload, and one with the rest.
pub fn split(craft: &Craft, sizes: &[usize], identification: u8) -> Vec<Vec<u8>> {
    let frame = craft.frame().bytes;
    let (headers, mut rest) = frame.split_at(craft.transport());
    let headers = &headers[12..];
    let mut frames = Vec::new();
    let mut offset = 0;
    for size in sizes {
        let (part, tail) = rest.split_at(*size);
        frames.push(piece(headers, part, offset, true, identification));
        offset += size;
        rest = tail;
    }
    frames.push(piece(headers, rest, offset, false, identification));
    frames
}

/// `headers`: the EtherType and an IP header without options or extensions.
fn piece(headers: &[u8], part: &[u8], offset: usize, more: bool, identification: u8) -> Vec<u8> {
    const FRAGMENT: u8 = 44;
    let mut frame = headers.to_vec();
    let ip = &mut frame[2..];
    if ip[0] >> 4 == 4 {
        ip[2..4].copy_from_slice(&short(20 + part.len()));
        ip[4..6].copy_from_slice(&[0x56, identification]);
        ip[6..8].copy_from_slice(&short((offset / 8) | (usize::from(more) << 13)));
        ip[10..12].fill(0);
        let checksum = !sum(ip);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        ip[4..6].copy_from_slice(&short(8 + part.len()));
        let carried = std::mem::replace(&mut ip[6], FRAGMENT);
        let [high, low] = short(offset | usize::from(more));
        frame.extend([carried, 0, high, low, 0, 0, 0x56, identification]);
    }
    frame.extend(part);
    frame
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).expect("16 bits").to_be_bytes()
}
