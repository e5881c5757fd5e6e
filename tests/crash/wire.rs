//! SoupBinTCP and OUCH 5.0 as far as this client speaks them, written from the documents and not from the product:
//! a mistake that both sides of the product share would be seen here.
//!
//! Numbers are big-endian. Offsets are those of the OUCH 5.0 document's tables; a message shorter than its table is
//! a panic, because the venue under test wrote it.

/// Client messages, by their letters.
pub const ENTER: u8 = b'O';
pub const REPLACE: u8 = b'U';

/// A SoupBinTCP packet: length of what follows, type, payload.
pub fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u16 + 1).to_be_bytes().to_vec();
    bytes.push(kind);
    bytes.extend_from_slice(payload);
    bytes
}

/// Login Request of 47 bytes: user, password, any session, the next number wanted.
pub fn login(user: &str, password: &str, next: u64) -> Vec<u8> {
    packet(b'L', format!("{user:<6}{password:<10}{:>10}{next:>20}", "").as_bytes())
}

/// Takes the first whole packet off `bytes`: its type and payload.
pub fn take_packet(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    assert!(length > 0, "a packet has a type");
    if bytes.len() < 2 + length {
        return None;
    }
    let packet: Vec<u8> = bytes.drain(..2 + length).collect();
    Some((packet[2], packet[3..].to_vec()))
}

/// The number in a Login Accepted packet's payload, behind ten letters of session.
pub fn accepted_number(payload: &[u8]) -> u64 {
    assert_eq!(payload.len(), 30, "session and number");
    std::str::from_utf8(&payload[10..]).unwrap().trim().parse().unwrap()
}

/// What a client wants done with an order.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub side: u8,
    pub quantity: u32,
    pub symbol: [u8; 8],
    pub price: u64,
    pub time_in_force: u8,
}

/// Enter Order, 47 bytes, no options.
pub fn enter(number: u32, wish: &Wish) -> Vec<u8> {
    let mut bytes = vec![ENTER];
    bytes.extend(number.to_be_bytes());
    bytes.push(wish.side);
    bytes.extend(wish.quantity.to_be_bytes());
    bytes.extend(wish.symbol);
    bytes.extend(wish.price.to_be_bytes());
    bytes.push(wish.time_in_force);
    bytes.extend(b"YPNN");
    bytes.extend(format!("{number:<14}").as_bytes());
    bytes.extend([0, 0]);
    assert_eq!(bytes.len(), 47);
    bytes
}

/// Replace Order Request, 40 bytes, no options. The quantity counts what the chain has executed.
pub fn replace(original: u32, number: u32, quantity: u32, price: u64) -> Vec<u8> {
    let mut bytes = vec![REPLACE];
    bytes.extend(original.to_be_bytes());
    bytes.extend(number.to_be_bytes());
    bytes.extend(quantity.to_be_bytes());
    bytes.extend(price.to_be_bytes());
    bytes.extend(b"0YN");
    bytes.extend(format!("{number:<14}").as_bytes());
    bytes.extend([0, 0]);
    assert_eq!(bytes.len(), 40);
    bytes
}

/// Cancel Order Request down to `total` shares, 9 bytes, the appendage left out.
pub fn cancel(number: u32, total: u32) -> Vec<u8> {
    let mut bytes = vec![b'X'];
    bytes.extend(number.to_be_bytes());
    bytes.extend(total.to_be_bytes());
    bytes
}

/// Account Query Request, the appendage left out.
pub fn query() -> Vec<u8> {
    vec![b'Q']
}

/// What the venue said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Accepted {
        number: u32,
        side: u8,
        quantity: u32,
        symbol: [u8; 8],
        is_live: bool,
    },
    Replaced {
        original: u32,
        number: u32,
        open: u32,
        is_live: bool,
    },
    /// Canceled, or taken off by self-match prevention.
    Reduced {
        number: u32,
        quantity: u32,
    },
    Executed {
        number: u32,
        quantity: u32,
        price: u64,
        liquidity: u8,
        trade: u64,
    },
    Rejected {
        number: u32,
    },
    /// The next number that the venue takes.
    Next(u32),
    /// Start or end of the day.
    System,
}

/// Reads one message of the venue.
pub fn answer(message: &[u8]) -> Answer {
    let u32_at = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_be_bytes(message[at..at + 8].try_into().unwrap());
    match message[0] {
        b'A' => Answer::Accepted {
            number: u32_at(9),
            side: message[13],
            quantity: u32_at(14),
            symbol: message[18..26].try_into().unwrap(),
            is_live: message[47] == b'L',
        },
        b'U' => {
            Answer::Replaced { original: u32_at(9), number: u32_at(13), open: u32_at(18), is_live: message[51] == b'L' }
        }
        b'C' | b'D' => Answer::Reduced { number: u32_at(9), quantity: u32_at(13) },
        b'E' => Answer::Executed {
            number: u32_at(9),
            quantity: u32_at(13),
            price: u64_at(17),
            liquidity: message[25],
            trade: u64_at(26),
        },
        b'J' => Answer::Rejected { number: u32_at(9) },
        b'Q' => Answer::Next(u32_at(9)),
        b'S' => Answer::System,
        other => panic!("nothing sent is answered by {:?}", char::from(other)),
    }
}
