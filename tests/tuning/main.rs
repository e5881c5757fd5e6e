//! Tuning on copies of machines, and with harmless settings on the machine the tests run on.

mod cycle;
mod doctor;
mod fake;
mod placement;
mod real;
mod rough;
