//! The one table of problems, as its readers know it: a code that changes its status or its
//! meaning changes the contract, and a code without a test is a promise that nobody has seen kept.

use std::collections::BTreeSet;
use std::path::Path;

use voicepost::web::ROWS;

/// Code, status, whether the same request can succeed later, and the test that meets it: its file
/// in this folder and its name.
const KNOWN: [(&str, u16, bool, &str, &str); 45] = [
    ("malformed-request", 400, false, "parts.rs", "a_body_that_cannot_be_read_is_malformed"),
    ("missing-part", 400, false, "parts.rs", "a_missing_part_is_named"),
    ("unknown-part", 400, false, "parts.rs", "an_unknown_part_is_refused_with_the_names_there_are"),
    ("duplicate-part", 400, false, "parts.rs", "a_part_that_comes_twice_is_refused"),
    (
        "invalid-field",
        400,
        false,
        "parts.rs",
        "a_field_with_a_wrong_value_is_refused_with_its_limit",
    ),
    (
        "unauthorized",
        401,
        false,
        "access.rs",
        "without_a_token_nothing_but_the_open_paths_is_answered",
    ),
    (
        "forbidden",
        403,
        false,
        "access.rs",
        "a_guest_sends_into_their_own_conversation_only_and_under_their_own_name",
    ),
    ("route-not-found", 404, false, "surface.rs", "a_path_with_nothing_at_it_is_not_found"),
    ("message-not-found", 404, false, "receipts.rs", "an_id_that_no_message_has_is_not_found"),
    (
        "conversation-not-found",
        404,
        false,
        "genesys_says_no.rs",
        "a_conversation_that_is_closed_is_not_found_and_its_clip_is_deleted",
    ),
    (
        "method-not-allowed",
        405,
        false,
        "surface.rs",
        "a_method_that_a_path_does_not_take_is_refused_with_those_it_does",
    ),
    ("upload-too-slow", 408, true, "clips.rs", "a_body_that_stops_coming_is_answered_408"),
    ("in-progress", 409, true, "repeats.rs", "a_repeat_that_comes_too_early_is_told_where_to_look"),
    ("undecided", 409, false, "storage.rs", "who_has_no_key_is_not_told_to_send_again"),
    ("wrong-state", 409, false, "admin.rs", "a_message_on_its_way_is_not_purged_by_an_operator"),
    (
        "too-large",
        413,
        false,
        "clips.rs",
        "a_body_that_says_it_is_too_large_is_refused_before_it_comes",
    ),
    (
        "unsupported-media-type",
        415,
        false,
        "parts.rs",
        "a_body_that_is_no_form_is_an_unsupported_media_type",
    ),
    ("unsupported-audio-format", 415, false, "clips.rs", "a_document_named_mp3_is_no_audio"),
    ("audio-empty", 422, false, "clips.rs", "a_clip_that_is_empty_short_or_broken_is_refused"),
    ("audio-too-short", 422, false, "clips.rs", "a_clip_that_is_empty_short_or_broken_is_refused"),
    (
        "audio-too-long",
        422,
        false,
        "clips.rs",
        "a_clip_of_60_seconds_passes_and_one_of_61_is_refused",
    ),
    ("audio-corrupted", 422, false, "clips.rs", "a_clip_that_is_empty_short_or_broken_is_refused"),
    ("audio-undecodable", 422, false, "clips.rs", "a_clip_that_does_not_decode_is_refused"),
    (
        "transcript-too-long",
        422,
        false,
        "parts.rs",
        "a_transcript_may_have_4096_bytes_and_not_one_more",
    ),
    ("idempotency-mismatch", 422, false, "repeats.rs", "a_key_used_for_another_request_is_refused"),
    (
        "clip-refused-by-genesys",
        422,
        false,
        "genesys_says_no.rs",
        "a_clip_that_genesys_refuses_is_refused",
    ),
    ("quota-exceeded", 429, true, "quota.rs", "a_guest_is_held_to_the_quota_whatever_the_token"),
    ("genesys-refused", 502, false, "genesys_says_no.rs", "missing_scopes_are_named"),
    // The next three are not answers: they stand in receipts.
    (
        "genesys-unavailable",
        502,
        true,
        "genesys_says_no.rs",
        "an_upload_answered_503_may_have_stored_the_clip",
    ),
    (
        "genesys-rate-limited",
        502,
        true,
        "genesys_says_no.rs",
        "a_pause_that_outlasts_the_wait_is_answered_202_at_once",
    ),
    (
        "genesys-answer-lost",
        502,
        true,
        "genesys_says_no.rs",
        "with_on_unknown_hold_a_message_in_doubt_waits_for_an_operator",
    ),
    (
        "token-unavailable",
        502,
        true,
        "token.rs",
        "a_login_host_in_trouble_leaves_the_gateway_started_and_not_ready",
    ),
    ("busy", 503, true, "repeats.rs", "one_request_too_many_is_told_that_it_is_busy_here"),
    (
        "draining",
        503,
        true,
        "repeats.rs",
        "a_gateway_that_shuts_down_lets_its_senders_go_and_takes_no_new_ones",
    ),
    ("storage-low", 503, true, "repeats.rs", "a_disk_that_is_nearly_full_takes_no_new_messages"),
    ("storage-failed", 503, true, "storage.rs", "a_clip_that_cannot_be_kept_is_not_promised"),
    ("purge-backlog", 503, true, "operators.rs", "new_messages_are_refused_while_purges_are_late"),
    (
        "expired",
        502,
        true,
        "genesys_says_no.rs",
        "a_message_that_expires_while_its_sender_waits_is_refused",
    ),
    (
        "on-hold",
        409,
        false,
        "operators.rs",
        "a_message_is_held_with_the_operators_reason_and_released",
    ),
    (
        "media-gone",
        410,
        false,
        "open_messaging.rs",
        "a_purge_takes_our_file_and_what_genesys_keeps",
    ),
    ("range-not-satisfiable", 416, false, "open_messaging.rs", "ranges_and_heads_are_answered"),
    // Left by a crash: the receipts that the next start writes.
    ("interrupted", 503, true, "restarts.rs", "a_clip_that_was_only_in_memory_is_interrupted"),
    (
        "other-route",
        409,
        false,
        "restarts.rs",
        "a_message_of_another_route_is_held_until_it_is_back",
    ),
    ("crash-loop", 500, false, "restarts.rs", "a_message_met_by_three_crashes_is_held"),
    ("internal", 500, true, "restarts.rs", "a_clip_that_left_the_spool_is_a_fault_of_the_gateway"),
];

#[test]
fn the_table_is_the_contract() {
    let known: Vec<_> = KNOWN.iter().map(|row| (row.0, row.1, row.2)).collect();
    let rows: Vec<_> =
        ROWS.iter().map(|row| (row.code.as_str(), row.status, row.retryable)).collect();
    let (known, rows): (BTreeSet<_>, BTreeSet<_>) =
        (known.into_iter().collect(), rows.into_iter().collect());
    assert_eq!(known, rows);
}

#[test]
fn every_code_is_met_by_a_test_that_names_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for row in ROWS {
        let code = row.code.as_str();
        let (.., file, test) = KNOWN.iter().find(|known| known.0 == code).expect(code);
        let source = std::fs::read_to_string(folder.join(file)).expect(file);
        let (_, body) = source.split_once(&format!("fn {test}()")).expect(test);
        let body = body.split("\n}\n").next().expect("a first piece");
        assert!(body.contains(&format!("\"{code}\"")), "{file}: {test} does not name {code}");
    }
}

#[test]
fn titles_are_sentences_of_their_own() {
    let titles: BTreeSet<_> = ROWS.iter().map(|row| row.title).collect();
    assert_eq!(titles.len(), ROWS.len(), "two codes share a title");
    for title in titles {
        assert!(title.starts_with(|c: char| c.is_uppercase()) && !title.ends_with('.'), "{title}");
    }
}
