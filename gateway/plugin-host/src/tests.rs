//! Real components against the real host: what is refused, what is survived, what is answered.

mod admission;
mod fixtures;
mod serving;
mod shipped;
