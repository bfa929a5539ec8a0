//! The page.

use voicepost::sandbox::SandboxSettings;

use super::Client;

#[test]
fn the_page_is_self_contained_and_strict() {
    let client = Client::start(SandboxSettings::default());
    let page = client.get("/", &[]);
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    let text = String::from_utf8(page.body).expect("UTF-8");
    assert!(text.contains("/sandbox/page.js") && !text.contains("://"));
    let script = client.get("/sandbox/page.js", &[]);
    let script = String::from_utf8(script.body).expect("UTF-8");
    assert!(script.contains("textContent") && !script.contains("innerHTML"));
    assert_eq!(client.get("/sandbox/page.css", &[]).status, 200);
}
