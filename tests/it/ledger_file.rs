//! The ledger's file, read from outside once the process has ended.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// One message, as the file holds it.
#[derive(Debug)]
pub struct Row {
    pub accepted_seq: u64,
    pub stage: String,
    pub possible_duplicate: bool,
    /// Why it ended; empty where nothing went wrong.
    pub ending: String,
    /// Posts whose answer was lost. A start that holds the message in the same commit writes down
    /// the hold alone.
    pub posts_lost: usize,
    /// States of its copies.
    pub copies: Vec<String>,
}

/// All that the tests look at.
#[derive(Debug)]
pub struct LedgerFile {
    /// By message id.
    pub messages: HashMap<String, Row>,
    /// Message ids by idempotency key.
    pub keys: HashMap<String, String>,
}

impl LedgerFile {
    /// Reads the file in this directory and changes nothing.
    pub fn read(data: &Path) -> LedgerFile {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let file = Connection::open_with_flags(data.join("voicepost.db"), flags).unwrap();
        let mut messages = HashMap::new();
        let sql = "SELECT hex(id), accepted_seq, stage,
                     json_extract(body, '$.possible_duplicate'),
                     coalesce(json_extract(body, '$.ending.code'), ''),
                     coalesce((SELECT group_concat(state) FROM copies WHERE message_id = id), ''),
                     (SELECT count(*) FROM history
                       WHERE message_seq = accepted_seq
                         AND (event = 'post-lost'
                              OR event = 'held' AND detail LIKE 'genesys-answer-lost; next%'))
                   FROM messages";
        let mut statement = file.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let copies: String = row.get(5).unwrap();
            let message = Row {
                accepted_seq: row.get::<_, i64>(1).unwrap().unsigned_abs(),
                stage: row.get(2).unwrap(),
                possible_duplicate: row.get(3).unwrap(),
                ending: row.get(4).unwrap(),
                posts_lost: row.get::<_, i64>(6).unwrap().unsigned_abs() as usize,
                copies: copies.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            };
            messages.insert(id(&row.get::<_, String>(0).unwrap()), message);
        }
        let mut statement = file.prepare("SELECT key, hex(message_id) FROM keys").unwrap();
        let keys = statement.query_map([], |row| Ok((row.get(0)?, id(&row.get::<_, String>(1)?))));
        let keys = keys.unwrap().collect::<Result<_, _>>().unwrap();
        LedgerFile { messages, keys }
    }

    /// The message that holds this key.
    pub fn by_key(&self, key: &str) -> Option<&Row> {
        self.messages.get(self.keys.get(key)?)
    }

    /// Copies in this state.
    pub fn copies(&self, state: &str) -> usize {
        let copies = self.messages.values().flat_map(|message| &message.copies);
        copies.filter(|copy| *copy == state).count()
    }
}

fn id(hex: &str) -> String {
    uuid::Uuid::try_parse(hex).expect("16 bytes").to_string()
}
