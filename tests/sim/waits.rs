//! Whether messages waited as long as they were told to, by the history.

use std::collections::HashMap;

use voicepost::domain::MessageId;

use crate::world::World;

/// Invariant 5, of one message: no attempt before the time that was written down for it, nor the
/// end of its time before it has come. Not asked where the clock was stepped, or somebody stepped
/// in: both may end a pause.
pub fn are_kept(world: &World, wrong: &mut Vec<String>) {
    if !world.plan.steps.is_empty() || world.plan.moves() {
        return;
    }
    let expiries: HashMap<MessageId, jiff::Timestamp> = world
        .records()
        .into_iter()
        .map(|(_, record)| (record.id, timestamp(record.expires_at.0)))
        .collect();
    let mut told: HashMap<MessageId, jiff::Timestamp> = HashMap::new();
    for row in world.history() {
        let (id, at) = (row.message_id, timestamp(row.at.0));
        let detail = row.detail.unwrap_or_default();
        if row.event == "failed" && detail.starts_with("expired") && at < expiries[&id] {
            wrong.push(format!("{id} expired at {at}, not at {}", expiries[&id]));
        }
        if row.event.ends_with("-intended")
            && let Some(until) = told.remove(&id).filter(|until| at < *until)
        {
            wrong.push(format!("{id}: {} at {at}, before {until}", row.event));
        }
        if !row.event.starts_with("purge")
            && let Some((_, until)) = detail.split_once("next attempt at ")
        {
            // Behind it there may be what else was committed.
            let until = until.split([';', ',', ' ']).next().unwrap_or(until);
            told.insert(id, until.parse().unwrap());
        }
    }
}

fn timestamp(at_ms: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at_ms).unwrap()
}
