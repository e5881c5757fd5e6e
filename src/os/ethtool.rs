//! What a network card lets us ask and set by the `SIOCETHTOOL` call, as numbers by the names `ethtool` gives them:
//! how long the card gathers packets before it interrupts, whether it changes that by itself, and its queues. Cold.

#![allow(unsafe_code)]

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// `ETHTOOL_GCOALESCE`, `ETHTOOL_SCOALESCE` and `ETHTOOL_GCHANNELS` of linux/ethtool.h.
const READ_COALESCING: u32 = 0x0e;
const WRITE_COALESCING: u32 = 0x0f;
const READ_CHANNELS: u32 = 0x3c;
/// Words of `struct ethtool_coalesce` and `struct ethtool_channels`, the command first.
const COALESCING_WORDS: usize = 23;
const CHANNELS_WORDS: usize = 9;
/// The call's number (linux/sockios.h).
const SIOCETHTOOL: libc::c_ulong = 0x8946;
/// Bytes of an interface's name, the closing zero included.
const NAME_BYTES: usize = 16;

/// Where a field stands: the structure that holds it, and its word there.
#[derive(Clone, Copy)]
enum Place {
    Coalescing(usize),
    Channels(usize),
}

fn place(field: &str) -> io::Result<Place> {
    match field {
        "rx-usecs" => Ok(Place::Coalescing(1)),
        "tx-usecs" => Ok(Place::Coalescing(5)),
        "adaptive-rx" => Ok(Place::Coalescing(10)),
        "combined" => Ok(Place::Channels(8)),
        "rx-queues" => Ok(Place::Channels(5)),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, format!("no such field of a card: {field}"))),
    }
}

/// A field's present value.
/// # Errors
/// What the system says; `EOPNOTSUPP` where the driver has no such setting.
pub fn read(card: &str, field: &str) -> io::Result<u32> {
    let place = place(field)?;
    match place {
        Place::Coalescing(word) => Ok(ask::<COALESCING_WORDS>(card, READ_COALESCING)?[word]),
        Place::Channels(word) => Ok(ask::<CHANNELS_WORDS>(card, READ_CHANNELS)?[word]),
    }
}

/// Sets a field and leaves the others of its structure as they are.
/// # Errors
/// What the system says; `Unsupported` for queues, which are not changed here: it resets the card.
pub fn write(card: &str, field: &str, value: u32) -> io::Result<()> {
    let Place::Coalescing(word) = place(field)? else {
        return Err(io::Error::new(ErrorKind::Unsupported, "changing queues resets the card"));
    };
    let mut words = ask::<COALESCING_WORDS>(card, READ_COALESCING)?;
    words[word] = value;
    words[0] = WRITE_COALESCING;
    call(card, &mut words)
}

fn ask<const WORDS: usize>(card: &str, command: u32) -> io::Result<[u32; WORDS]> {
    let mut words = [0; WORDS];
    words[0] = command;
    call(card, &mut words)?;
    Ok(words)
}

fn call<const WORDS: usize>(card: &str, words: &mut [u32; WORDS]) -> io::Result<()> {
    if card.len() >= NAME_BYTES || card.contains('\0') {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("not the name of a card: {card:?}")));
    }
    // Any socket will do: the call names the card itself.
    let socket = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    // SAFETY: all zero is a valid value of this plain C structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name.iter_mut().zip(card.bytes()).for_each(|(to, from)| *to = from as libc::c_char);
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: `request` names `words`, which lives through the call and is as long as the structure that the command
    // in its first word stands for; the kernel writes no more than that. Test: `a_card_answers_or_says_why`.
    if unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_answers_or_says_why() {
        // Loopback has neither; what matters is that the kernel took the question.
        for field in ["rx-usecs", "combined"] {
            let answer = read("lo", field);
            assert!(answer.as_ref().is_err_and(|e| e.kind() == ErrorKind::Unsupported) || answer.is_ok(), "{answer:?}");
        }
    }

    #[test]
    fn what_is_no_card_or_no_field_is_refused() {
        assert_eq!(read("no-such-card", "rx-usecs").unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert_eq!(read("a name much too long for a card", "rx-usecs").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(read("lo", "colour").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(write("lo", "combined", 1).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
