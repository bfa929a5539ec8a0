//! What an examination found: one line for each thing that was looked at, with its fix.

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// Nothing fails for it, or it could not be told.
    Note,
    /// Something will fail.
    Failing,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen. Never a secret.
    pub detail: String,
    /// What to change, unless it is fine.
    pub fix: Option<String>,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Fine => "ok",
            Verdict::Note => "note",
            Verdict::Failing => "fail",
        }
    }
}

impl Finding {
    /// It is as it should be.
    pub fn fine(subject: impl Into<String>, detail: impl Into<String>) -> Finding {
        Finding::new(subject, Verdict::Fine, detail, None)
    }

    /// Worth knowing; `fix` says what would change it.
    pub fn note(
        subject: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding::new(subject, Verdict::Note, detail, Some(fix.into()))
    }

    /// Something will fail until `fix` is done.
    pub fn failing(
        subject: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding::new(subject, Verdict::Failing, detail, Some(fix.into()))
    }

    fn new(
        subject: impl Into<String>,
        verdict: Verdict,
        detail: impl Into<String>,
        fix: Option<String>,
    ) -> Finding {
        Finding { subject: subject.into(), verdict, detail: detail.into(), fix }
    }
}
