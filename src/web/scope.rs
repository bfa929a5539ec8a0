//! What a caller may do: a backend's key speaks for any guest, a guest only for themself.

use super::fields::CheckedFields;
use crate::access::{Caller, ClipPlace, Guest, NoClip};
use crate::domain::{Code, Problem, UnixMs};
use crate::web::Site;

/// Whether the caller may send at all; asked before the body is read.
pub(super) fn may_send(site: &Site, caller: &Caller) -> Result<(), Problem> {
    if !caller.routes.is_empty() && !caller.routes.contains(&site.route) {
        let detail = format!("the API key may not send by the route {}", site.route);
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let Some(guest) = &caller.guest else { return Ok(()) };
    if guest.conversation_id.is_none() && site.route.asks_for_a_conversation() {
        let detail = "the token names no conversation_id, so nothing can be sent with it";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(())
}

/// A place among the clips that a guest's token is good for; `forbidden` where all were sent.
pub(super) fn take_clip(site: &Site, caller: &Caller, now: UnixMs) -> Result<ClipPlace, Problem> {
    let Some(guest) = &caller.guest else { return Ok(ClipPlace::default()) };
    site.access.take_clip(guest, now).map_err(|why| {
        let code = match why {
            NoClip::UsedUp(_) => Code::Forbidden,
            NoClip::TooManyTokens => Code::Busy,
        };
        Problem::new(code, why.to_string())
    })
}

/// Puts a guest's own conversation and sender where the request leaves them out, and refuses those
/// of others.
pub(super) fn confine(caller: &Caller, fields: &mut CheckedFields) -> Result<(), Problem> {
    let Some(Guest { sender_id, conversation_id, .. }) = &caller.guest else { return Ok(()) };
    own("sender_id", &mut fields.envelope.sender_id, Some(sender_id))?;
    own("conversation_id", &mut fields.conversation_id, conversation_id.as_ref())
}

fn own(part: &str, given: &mut Option<String>, own: Option<&String>) -> Result<(), Problem> {
    if given.is_some() && given.as_ref() != own {
        let detail = format!("the part {part} is not the one that the token is made out to");
        return Err(Problem::new(Code::Forbidden, detail).with("part", part));
    }
    *given = own.cloned();
    Ok(())
}
