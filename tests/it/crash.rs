//! The process is stopped between every pair of commits, and the next one goes on.
//!
//! No hook in the program: the sandbox's late answers hold it where it is to be killed. A call
//! takes effect before its answer is late, as the worst of outages does it.

mod drain;
mod points;
mod refusals;
mod storm;
mod withdrawn;

use serde_json::Value;

/// Names and states of a receipt's copies.
fn copies(receipt: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let copies = receipt["purge"]["copies"].as_array().expect("a list").iter();
    copies.map(|copy| (text(&copy["kind"]), text(&copy["state"]))).collect()
}

/// The states of uploaded copies alone.
fn states(receipt: &Value) -> Vec<String> {
    let uploaded = copies(receipt).into_iter().filter(|(kind, _)| kind == "uploaded-media");
    uploaded.map(|(_, state)| state).collect()
}
