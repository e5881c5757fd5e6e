//! The properties of an order, as the client gives them. The letters are OUCH's (OUCH 5.0, codes).

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

macro_rules! letters {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $letter:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug,
            zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
        )]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $letter),+ }

        impl $name {
            /// From its letter on the wire; `None` for a letter that means nothing here.
            #[inline]
            pub const fn from_letter(letter: u8) -> Option<$name> {
                match letter { $($letter => Some($name::$variant),)+ _ => None }
            }

            /// Its letter on the wire.
            #[inline]
            pub const fn letter(self) -> u8 {
                self as u8
            }
        }
    };
}
pub(crate) use letters;

letters!(
    /// Side as the client named it. Three kinds of selling are one side of the book.
    SideCode {
        /// Buy.
        Buy = b'B',
        /// Sell what is held.
        Sell = b'S',
        /// Sell short.
        SellShort = b'T',
        /// Sell short, exempt.
        SellShortExempt = b'E',
    }
);

letters!(
    /// How long an order stays.
    TimeInForce {
        /// Until the close of market hours.
        Day = b'0',
        /// What cannot trade at once is cancelled. With minimum quantity = quantity: fill or kill.
        ImmediateOrCancel = b'3',
        /// Until the end of extended hours.
        ExtendedHours = b'5',
        /// Until the expire time given.
        GoodTillTime = b'6',
        /// After hours.
        AfterHours = b'E',
        /// Until its owner cancels it, over any number of closes. Never a letter on the wire: an extension tag says it.
        GoodTillCancel = b'G',
    }
);

letters!(
    /// Whether the order shows on the feed.
    Display {
        /// Shown without its owner.
        Anonymous = b'Y',
        /// Not shown: price, then displayed before hidden, then time.
        Hidden = b'N',
        /// Shown with the firm's code.
        Attributed = b'A',
        /// As the venue's rules allow; outbound only.
        Conformant = b'Z',
    }
);

letters!(
    /// State of trading in a ticker (ITCH 5.0, Stock Trading Action).
    TradingState {
        /// No orders are taken and none trade; cancels pass.
        Halted = b'H',
        /// Paused by a price band.
        Paused = b'P',
        /// Orders are taken, none trade.
        QuotationOnly = b'Q',
        /// Continuous trading.
        Trading = b'T',
    }
);

letters!(
    /// What may be done in a ticker. Changes only by sequenced records; the letter stands in them.
    Phase {
        /// Nothing but cancels.
        Closed = b'C',
        /// Orders are taken and wait for the opening cross.
        PreOpen = b'O',
        /// Continuous trading.
        Trading = b'T',
        /// Continuous trading goes on while the closing cross builds up and its imbalance is told.
        PreClose = b'L',
        /// Stopped by an operator: nothing but cancels.
        Halted = b'H',
        /// Orders are taken and wait for the cross that ends a halt.
        HaltAuction = b'Q',
        /// Stopped by a price band; orders are taken and wait for the cross that ends the pause.
        Paused = b'P',
    }
);

letters!(
    /// Which auction (OUCH 5.0 and ITCH 5.0, cross type).
    CrossKind {
        /// Opening.
        Opening = b'O',
        /// Closing.
        Closing = b'C',
        /// After a halt or a pause.
        Halt = b'H',
    }
);

letters!(
    /// What the price of a pegged order follows (OUCH 5.0, tag 6). `m` on the wire is a midpoint too.
    Peg {
        /// The middle between the best displayed bid and offer.
        Midpoint = b'M',
        /// The best displayed price of the order's own side.
        Primary = b'R',
        /// That of the other side.
        Market = b'P',
    }
);

impl Peg {
    /// All of them, in the order in which they trade at a price.
    pub const ALL: [Peg; 3] = [Peg::Midpoint, Peg::Primary, Peg::Market];

    /// Place in [`Peg::ALL`].
    #[inline]
    pub const fn index(self) -> usize {
        match self {
            Peg::Midpoint => 0,
            Peg::Primary => 1,
            Peg::Market => 2,
        }
    }
}

/// Side of the book.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u8)]
pub enum Side {
    /// Bids.
    Buy = 0,
    /// Offers.
    Sell = 1,
}

impl Side {
    /// The other side.
    #[inline]
    pub const fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }

    /// ITCH letter.
    #[inline]
    pub const fn letter(self) -> u8 {
        match self {
            Side::Buy => b'B',
            Side::Sell => b'S',
        }
    }

    /// 0 for buy, 1 for sell: index of a table with an entry a side.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl SideCode {
    /// The side of the book.
    #[inline]
    pub const fn side(self) -> Side {
        match self {
            SideCode::Buy => Side::Buy,
            SideCode::Sell | SideCode::SellShort | SideCode::SellShortExempt => Side::Sell,
        }
    }
}

impl Display {
    /// Whether the order appears on the feed.
    #[inline]
    pub const fn is_shown(self) -> bool {
        match self {
            Display::Anonymous | Display::Attributed | Display::Conformant => true,
            Display::Hidden => false,
        }
    }
}

/// What to do when an order would trade against one of its own side (OUCH 5.0, AIQ strategies).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(u8)]
pub enum SelfMatchMode {
    /// Let it trade.
    #[default]
    Off = 0,
    /// Cancel the incoming order.
    CancelNewest = 1,
    /// Cancel the resting order.
    CancelOldest = 2,
    /// Cancel both.
    CancelBoth = 3,
    /// Take the smaller size off both; what is left of the larger goes on.
    Decrement = 4,
}

/// A self-match rule: the mode, whom it protects, and the letter to report.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SelfMatch {
    /// What happens.
    pub mode: SelfMatchMode,
    /// 1 when orders of the whole firm count as own, 0 when only the account's.
    pub firm_wide: u8,
    /// 1 when the owner gets the detailed report (`D`), 0 for a plain cancel with reason `Q`.
    pub detailed: u8,
    /// Letter of the strategy on the wire; `N` when off.
    pub letter: u8,
}

impl SelfMatch {
    /// Self-matches trade.
    pub const OFF: SelfMatch = SelfMatch { mode: SelfMatchMode::Off, firm_wide: 0, detailed: 0, letter: b'N' };

    /// From a strategy letter. Capital letters are the firm-wide rules of the protocol; letters for an
    /// organisation or an affiliate are `None`: accounts here know their firm and no wider group.
    pub const fn from_letter(letter: u8) -> Option<SelfMatch> {
        let (mode, detailed) = match letter {
            b'N' => return Some(SelfMatch::OFF),
            b'Y' => (SelfMatchMode::Decrement, 0),
            b'D' => (SelfMatchMode::Decrement, 1),
            b'O' => (SelfMatchMode::CancelOldest, 1),
            b'W' => (SelfMatchMode::CancelNewest, 1),
            _ => return None,
        };
        Some(SelfMatch { mode, firm_wide: 1, detailed, letter })
    }
}
