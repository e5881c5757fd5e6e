//! What egress hands to a gateway: one message for one session, not yet in bytes.

use super::{Event, Nanos, Number, OrderReference, Price, Quantity, Sequenced, SessionId};

/// One answer or notice for one session, released by the commit gate. The gateway turns it into OUCH bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Whose stream it enters.
    pub session: SessionId,
    /// The record it comes from.
    pub number: Number,
    /// That record's time.
    pub time: Nanos,
    /// The content.
    pub body: ReportBody,
}

/// The content of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "a link holds values of one size; boxing would allocate")]
pub enum ReportBody {
    /// Direct answer to a request of this session.
    Answer(Answer),
    /// Something happened to an order of this session.
    Order(Event, Party),
    /// The day starts (OUCH System Event `S`).
    DayStart,
    /// The day ends (System Event `E`), then the session ends.
    DayEnd,
}

/// A request together with what became of it: Accepted, Replaced, Rejected, and the answers of mass cancel, disable,
/// enable and query. The record carries all that is echoed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The request's record; `verdict.reject` says whether it was refused.
    pub record: Sequenced,
    /// Accepted and Replaced: the order's number at the venue.
    pub reference: OrderReference,
    /// Accepted: size. Replaced: open shares.
    pub quantity: Quantity,
    /// Accepted price.
    pub price: Price,
}

/// Which party of a [`Event::Filled`] the report is for; `Incoming` elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Party {
    /// The order that was in the book; the buyer of a cross or of a broken trade.
    Resting,
    /// The order that came in; the seller.
    Incoming,
}
