//! The appendage: optional fields that follow a message's fixed part (OUCH 5.0, appendix of option tags).
//!
//! Tags 128 to 130 are the house's own: a stop price, good till cancel and what a post-only order does are things that the
//! protocol has no option for. They lie above the numbers it uses and likely will use.
//!
//! A message carries few of them, mostly none, so [`Tags`] is one flat `Copy` value with a bit a tag: no options
//! costs one test, and reading never loops more often than the appendage has elements. A tag that is unknown, not
//! allowed in its message, of the wrong size or repeated is a *fault*: the first one is kept, the rest of the
//! message is still read, and the gateway answers with a refusal that can name the right channel and reference.

use super::Form;
use crate::types::{Channel, Firm, OrderReference, Quantity};
use crate::wire::field::Field;
use zerocopy::{FromBytes, IntoBytes};

/// What is wrong with an option. Each variant names the tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TagFault {
    /// The protocol does not know it.
    Unknown(u8),
    /// It does not belong to this message.
    NotAllowed(u8),
    /// Its value has another size.
    WrongSize(u8),
    /// It stood there before.
    Duplicate(u8),
}

/// Length of an element and its tag, ahead of the value.
const ELEMENT_HEAD_BYTES: usize = 2;
/// The appendage's own length field.
const LENGTH_BYTES: usize = 2;
/// Highest bit of [`Tags::present`] that stands for a tag.
const TAG_MAX: usize = 31;
/// Highest tag of the protocol; each has the bit of its number.
const TAG_PROTOCOL_MAX: u8 = 30;
/// Tags of the house, from the free range above those of the protocol, each with a bit that the protocol's leave free.
const TAGS_HOUSE: [(u8, u8); 3] = [(128, 31), (129, 0), (130, 8)];

macro_rules! tags {
    ($($(#[$doc:meta])* $tag:literal $name:ident $with:ident: $ty:ty = $bytes:literal,)+) => {
        /// The options of a message. Fields of absent tags hold zero, so that equal options are equal values.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct Tags {
            present: u32,
            /// The first fault found while reading.
            pub fault: Option<TagFault>,
            $($name: <$ty as Field>::Wire,)+
        }

        /// Bytes of a tag's value; 0 for a tag that the protocol does not know.
        const VALUE_BYTES: [u8; TAG_MAX + 1] = {
            let mut bytes = [0; TAG_MAX + 1];
            $(bytes[$tag as usize] = $bytes;)+
            bytes
        };
        $(const _: () = assert!(size_of::<<$ty as Field>::Wire>() == $bytes);)+

        impl Tags {
            /// No options.
            #[allow(clippy::useless_transmute, reason = "zeros of each field's layout; some layouts are bare arrays")]
            pub const NONE: Tags = Tags {
                present: 0,
                fault: None,
                $($name: zerocopy::transmute!([0u8; $bytes]),)+
            };

            $(
                $(#[$doc])*
                #[inline]
                pub fn $name(&self) -> Option<$ty> {
                    self.has($tag).then(|| <$ty as Field>::from_wire(self.$name))
                }

                #[doc = concat!("The same options with `", stringify!($name), "`.")]
                #[inline]
                #[must_use]
                pub fn $with(mut self, value: $ty) -> Tags {
                    self.present |= 1 << $tag;
                    self.$name = value.to_wire();
                    self
                }
            )+

            /// Takes in a value; its size was checked.
            fn set(&mut self, tag: u8, value: &[u8]) {
                match tag {
                    $($tag => self.$name = FromBytes::read_from_bytes(value).expect("the size was checked"),)+
                    _ => unreachable!("only known tags have a size"),
                }
                self.present |= 1 << tag;
            }

            /// Lays a value down at the front of `out`.
            fn put(&self, tag: u8, out: &mut [u8]) {
                let written = match tag {
                    $($tag => self.$name.write_to_prefix(out).is_ok(),)+
                    _ => unreachable!("only known tags are present"),
                };
                assert!(written, "room for the appendage");
            }
        }

        impl core::fmt::Debug for Tags {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut shown = f.debug_struct("Tags");
                $(if let Some(value) = self.$name() {
                    shown.field(stringify!($name), &value);
                })+
                if let Some(fault) = self.fault {
                    shown.field("fault", &fault);
                }
                shown.finish()
            }
        }
    };
}

tags! {
    /// Reference of the displayed part of a reserve order.
    1 secondary_reference with_secondary_reference: OrderReference = 8,
    /// Firm, when not the port's own.
    2 firm with_firm: Firm = 4,
    /// Least quantity of an execution.
    3 min_quantity with_min_quantity: Quantity = 4,
    /// Letter: R retail, N not, space as the port.
    4 customer_type with_customer_type: u8 = 1,
    /// Shares to show of a reserve order.
    5 max_floor with_max_floor: Quantity = 4,
    /// Letter: L limit, P M R Q m pegs.
    6 price_type with_price_type: u8 = 1,
    /// Offset of a peg in 1/10,000, signed.
    7 peg_offset with_peg_offset: i32 = 4,
    /// Price up to which the order may step, in 1/10,000.
    9 discretion_price with_discretion_price: u64 = 8,
    /// Letter of the discretion price's type.
    10 discretion_price_type with_discretion_price_type: u8 = 1,
    /// Offset of a pegged discretion price in 1/10,000, signed.
    11 discretion_peg_offset with_discretion_peg_offset: i32 = 4,
    /// Letter: P post only, N not.
    12 post_only with_post_only: u8 = 1,
    /// Shares by which refreshes of a reserve order vary.
    13 random_reserves with_random_reserves: Quantity = 4,
    /// Route, outbound only.
    14 route with_route: [u8; 4] = 4,
    /// Seconds to live.
    15 expire_seconds with_expire_seconds: u32 = 4,
    /// Letter: Y N, space as the port.
    16 trade_now with_trade_now: u8 = 1,
    /// Letter of special handling; space for none.
    17 handle_inst with_handle_inst: u8 = 1,
    /// Letter of the order's weight at the best price, outbound only.
    18 bbo_weight with_bbo_weight: u8 = 1,
    /// Shares now shown, outbound only.
    22 display_quantity with_display_quantity: Quantity = 4,
    /// Price now shown in 1/10,000, outbound only.
    23 display_price with_display_price: u64 = 8,
    /// The client's own group for mass cancels.
    24 group with_group: u16 = 2,
    /// Letter: Y N, short sales.
    25 shares_located with_shares_located: u8 = 1,
    /// Broker of the located shares.
    26 locate_broker with_locate_broker: [u8; 4] = 4,
    /// Side letter.
    27 side with_side: u8 = 1,
    /// Order-flow channel inside the port (`UserRefIdx`).
    28 user_ref_index with_user_ref_index: u8 = 1,
    /// Letter of the self-match rule (revision 1.05).
    29 self_match with_self_match: u8 = 1,
    /// Group of the self-match rule (revision 1.05).
    30 self_match_group with_self_match_group: [u8; 2] = 2,
    /// Price in 1/10,000 at which a stop order wakes. The house's tag 128.
    31 stop_price with_stop_price: u64 = 8,
    /// Letter: Y stays over the close, N not. The house's tag 129.
    0 good_till_cancel with_good_till_cancel: u8 = 1,
    /// Letter: R a post-only order steps back from the best price, N it is cancelled there. The house's tag 130.
    8 post_only_action with_post_only_action: u8 = 1,
}

const _: () = assert!(size_of::<Tags>() <= 104, "copied with every message that has options");

impl Default for Tags {
    fn default() -> Self {
        Tags::NONE
    }
}

/// The bit of a tag as it stands on the wire, none for one that nobody knows.
const fn bit_of(tag: u8) -> Option<u8> {
    let mut at = 0;
    while at < TAGS_HOUSE.len() {
        if TAGS_HOUSE[at].0 == tag {
            return Some(TAGS_HOUSE[at].1);
        }
        at += 1;
    }
    // A number of the protocol that it leaves free has no size.
    if tag >= 1 && tag <= TAG_PROTOCOL_MAX && VALUE_BYTES[tag as usize] != 0 && !is_house(tag) {
        Some(tag)
    } else {
        None
    }
}

/// Whether a bit stands for a tag of the house.
const fn is_house(bit: u8) -> bool {
    bit == TAGS_HOUSE[0].1 || bit == TAGS_HOUSE[1].1 || bit == TAGS_HOUSE[2].1
}

/// Bits of the house's tags.
const HOUSE: u32 = 1 << TAGS_HOUSE[0].1 | 1 << TAGS_HOUSE[1].1 | 1 << TAGS_HOUSE[2].1;

/// Size of an appendage, length field included, that holds each tag of `tags` once.
pub const fn appendage_bytes(tags: u32) -> usize {
    let mut bytes = LENGTH_BYTES;
    let mut tag = 0;
    while tag <= TAG_MAX {
        if tags & (1 << tag) != 0 {
            bytes += ELEMENT_HEAD_BYTES + VALUE_BYTES[tag] as usize;
        }
        tag += 1;
    }
    bytes
}

impl Tags {
    const CHANNEL: u32 = 1 << 28;

    /// What an answer of the "echo" class carries: the channel if it is above 0, else nothing, and then the whole
    /// appendage is left out (OUCH 5.0, option tag 28).
    #[inline]
    pub fn echo(channel: Channel) -> Tags {
        match channel.echo() {
            Some(index) if index != 0 => Tags::NONE.with_user_ref_index(index),
            _ => Tags::NONE,
        }
    }

    /// Bit n set: tag n is there; 31, 0 and 8 stand for the house's 128, 129 and 130.
    #[inline]
    pub const fn present(&self) -> u32 {
        self.present
    }

    /// Whether the tag of this bit is there.
    #[inline]
    pub const fn has(&self, tag: u8) -> bool {
        self.present & (1 << tag) != 0
    }

    /// The order-flow channel named, or [`Channel::NONE`].
    #[inline]
    pub fn channel(&self) -> Channel {
        self.user_ref_index().map_or(Channel::NONE, Channel::named)
    }

    /// Whether nothing stands behind the fixed part: no bytes, or a length of 0, as far as `form` allows them.
    #[inline]
    pub(super) fn are_none(rest: &[u8], form: Form) -> bool {
        match rest {
            [] => form != Form::Required,
            [0, 0] => form != Form::Absent,
            _ => false,
        }
    }

    /// Reads length and elements; `rest` is all that follows the fixed part. `None` when lengths do not add up, or
    /// when there cannot be any.
    pub(super) fn read(rest: &[u8], allowed: u32, form: Form) -> Option<Tags> {
        let (length, elements) = rest.split_first_chunk::<LENGTH_BYTES>()?;
        let sound = form != Form::Absent && usize::from(u16::from_be_bytes(*length)) == elements.len();
        sound.then(|| Tags::read_elements(elements, allowed)).flatten()
    }

    fn read_elements(mut elements: &[u8], allowed: u32) -> Option<Tags> {
        let mut tags = Tags::NONE;
        while let [length, tag, rest @ ..] = elements {
            let value_bytes = usize::from(*length).checked_sub(1)?;
            let (value, next) = rest.split_at_checked(value_bytes)?;
            tags.take(*tag, value, allowed);
            elements = next;
        }
        elements.is_empty().then_some(tags)
    }

    fn take(&mut self, tag: u8, value: &[u8], allowed: u32) {
        let Some(bit) = bit_of(tag) else {
            self.fault = self.fault.or(Some(TagFault::Unknown(tag)));
            return;
        };
        let fault = if allowed & (1 << bit) == 0 {
            TagFault::NotAllowed(tag)
        } else if usize::from(VALUE_BYTES[usize::from(bit)]) != value.len() {
            TagFault::WrongSize(tag)
        } else if self.has(bit) {
            TagFault::Duplicate(tag)
        } else {
            self.set(bit, value);
            return;
        };
        self.fault = self.fault.or(Some(fault));
    }

    /// Writes length and those elements that are `allowed`, lowest tag first; gives the bytes used.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8], allowed: u32, form: Form) -> usize {
        let sent = self.present & allowed;
        if sent != 0 {
            return self.write_elements(out, sent);
        }
        if matches!(form, Form::LeftOut | Form::Absent) {
            return 0;
        }
        out[..LENGTH_BYTES].copy_from_slice(&[0, 0]);
        LENGTH_BYTES
    }

    fn write_elements(&self, out: &mut [u8], sent: u32) -> usize {
        // The channel alone is what most appendages are; its five bytes need no loop.
        if sent == Tags::CHANNEL {
            out[..5].copy_from_slice(&[0, 3, 2, 28, self.user_ref_index]);
            return 5;
        }
        let mut end = LENGTH_BYTES;
        let mut left = sent & !HOUSE;
        while left != 0 {
            let tag = left.trailing_zeros() as u8;
            left &= left - 1;
            end += self.write_element(tag, tag, &mut out[end..]);
        }
        if sent & HOUSE != 0 {
            for (tag, bit) in TAGS_HOUSE.into_iter().filter(|(_, bit)| sent & (1 << bit) != 0) {
                end += self.write_element(tag, bit, &mut out[end..]);
            }
        }
        let length = (end - LENGTH_BYTES) as u16;
        out[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        end
    }

    /// One element; gives its length.
    #[inline]
    fn write_element(&self, tag: u8, bit: u8, out: &mut [u8]) -> usize {
        let value_bytes = VALUE_BYTES[usize::from(bit)];
        (out[0], out[1]) = (value_bytes + 1, tag);
        self.put(bit, &mut out[ELEMENT_HEAD_BYTES..]);
        ELEMENT_HEAD_BYTES + usize::from(value_bytes)
    }
}
