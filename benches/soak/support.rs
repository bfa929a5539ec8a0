//! What the tests hold answers against, for the soak's answers too.

#[path = "../../tests/it/support/client.rs"]
#[allow(dead_code, reason = "the tests ask for more than a soak does")]
mod client;
#[path = "../../tests/it/support/contract.rs"]
#[allow(dead_code, reason = "the tests ask for more than a soak does")]
mod contract;

pub use client::Reply;
pub use contract::Contract;
