//! A connection, and what seals the confidential values that go over it.

use std::ops::Deref;
use std::sync::Arc;

use rusqlite::Connection;

use crate::sealing::Sealer;

pub(super) struct Store {
    connection: Connection,
    sealer: Arc<Sealer>,
}

impl Store {
    pub(super) fn new(connection: Connection, sealer: Arc<Sealer>) -> Store {
        Store { connection, sealer }
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }
}

impl Deref for Store {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
