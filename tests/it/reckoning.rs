//! The reckoning: what senders were told, what the ledger's file says, and what lies at Genesys
//! must agree. Made after the last process has ended; one for every test under load.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use voicepost::domain::RouteName;

use crate::ledger_file::{LedgerFile, Row};
use crate::load::Book;
use crate::process::World;
use crate::ways;

/// Findings that are printed; the rest is counted.
const SHOWN: usize = 20;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Reckoning {
    /// 201 and 202 that senders were given.
    pub promises: usize,
    /// Those that were 202.
    pub accepted: usize,
    /// Records in the ledger.
    pub messages: usize,
    /// Voice messages in conversations.
    pub posts: usize,
    /// Posts beyond the first of a message.
    pub doubled: usize,
    /// Records that say "possible duplicate".
    pub marked: usize,
    /// Records that a crash ended before anybody was told a 2xx.
    pub interrupted: usize,
    /// Clips deleted, and proven so.
    pub deleted: usize,
    /// Clips that nobody can name, called orphans in the ledger.
    pub orphaned: usize,
    /// Invariant 1: promised, and neither in its conversation nor withdrawn.
    pub lost: Vec<String>,
    /// Invariant 3: more often in its conversation than the ledger admits.
    pub doubled_unmarked: Vec<String>,
    /// Invariant 7: behind a younger message of its conversation.
    pub out_of_order: Vec<String>,
    /// Invariant 4: clips that are there and not admitted, or admitted and not there.
    pub unaccounted: Vec<String>,
}

/// What an operator or a sender did meanwhile, by message id.
#[derive(Debug, Default)]
pub struct Exempt {
    /// Held and released: they left their place in the order.
    pub released: HashSet<String>,
}

impl Reckoning {
    /// Reads the ledger's file, which no process uses any more, and reckons up.
    pub fn of(world: &World, book: &Book, exempt: &Exempt) -> Reckoning {
        let ledger = LedgerFile::read(world.data.path());
        let rows = || ledger.messages.values();
        let interrupted = rows().filter(|row| row.ending == "interrupted").count();
        let mut found = Reckoning {
            promises: book.told.len(),
            accepted: book.told.iter().filter(|told| told.status == 202).count(),
            messages: ledger.messages.len(),
            marked: rows().filter(|row| row.possible_duplicate).count(),
            interrupted,
            orphaned: ledger.copies("orphaned"),
            ..Reckoning::default()
        };
        let posts = posts_by_key(world);
        found.posts = posts.values().sum();
        found.promises_are_kept(&ledger, &posts, book);
        found.doubles_are_marked(&ledger, &posts, book);
        found.lanes_are_in_order(world, &ledger, book, exempt);
        found.copies_are_accounted_for(world, &ledger, exempt);
        found
    }

    /// Fails with everything that is wrong.
    #[track_caller]
    pub fn expect_clean(&self) {
        println!("{self}");
        assert!(self.is_clean(), "{self}");
    }

    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.findings().all(|(_, found)| found.is_empty())
    }

    fn findings(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        [
            ("lost", &self.lost),
            ("doubled and unmarked", &self.doubled_unmarked),
            ("out of order", &self.out_of_order),
            ("copies unaccounted for", &self.unaccounted),
        ]
        .into_iter()
    }

    /// Invariant 1: what was told a 2xx stands in its conversation, and its key still holds.
    fn promises_are_kept(
        &mut self,
        ledger: &LedgerFile,
        posts: &HashMap<String, usize>,
        book: &Book,
    ) {
        for told in &book.told {
            let sent = ledger.messages.get(&told.id).is_some_and(|row| row.stage == "sent");
            if !sent || !posts.contains_key(&told.key) {
                let row = ledger.messages.get(&told.id);
                self.lost.push(format!("{told:?} is {row:?}, posted: {:?}", posts.get(&told.key)));
            } else if ledger.keys.get(&told.key) != Some(&told.id) {
                self.lost.push(format!("{told:?}: its key holds {:?}", ledger.keys.get(&told.key)));
            }
        }
    }

    /// Invariant 3: a key is posted once, and once more for each post whose answer was lost, which
    /// its message says. What a crash interrupted gives its key to who uses it again, so it answers
    /// for posts of keys that nobody else holds, or that a sender used again.
    fn doubles_are_marked(
        &mut self,
        ledger: &LedgerFile,
        posts: &HashMap<String, usize>,
        book: &Book,
    ) {
        let lost = ledger.messages.values().filter(|row| row.ending == "interrupted");
        let mut interrupted: usize =
            lost.filter(|row| row.possible_duplicate).map(|row| row.posts_lost).sum();
        for (key, count) in posts {
            let holder = ledger.by_key(key).filter(|row| row.ending != "interrupted");
            let admitted = holder.map_or(0, |row| match row.possible_duplicate {
                true => 1 + row.posts_lost,
                false => 1,
            });
            let beyond = count.saturating_sub(admitted);
            self.doubled += count - 1;
            let other = holder.is_none() || book.again.contains(key);
            if beyond > 0 && (!other || beyond > interrupted) {
                self.doubled_unmarked.push(format!("{key}: {count} posts, holder {holder:?}"));
            }
            interrupted = interrupted.saturating_sub(beyond);
        }
    }

    /// Invariant 7: a lane's messages are posted in the order of their acceptance.
    /// Of a key that was used again only the last post is certainly its holder's.
    fn lanes_are_in_order(
        &mut self,
        world: &World,
        ledger: &LedgerFile,
        book: &Book,
        exempt: &Exempt,
    ) {
        let mut lanes: BTreeMap<String, Vec<(u64, String, String)>> = BTreeMap::new();
        let mut first_unknown = HashSet::new();
        world.account(|account| {
            let posts = account.posts();
            let last: HashMap<&str, usize> =
                posts.iter().enumerate().map(|(at, post)| (post.transcript.as_str(), at)).collect();
            for (at, post) in posts.iter().enumerate() {
                let key = post.transcript.as_str();
                let Some(id) = ledger.keys.get(key) else { continue };
                // Sent again: an earlier post may be that of a record that had the key before, so
                // which one is this record's first is not known. Its last one is.
                let of_another = book.again.contains(key) && last[key] != at;
                if of_another {
                    first_unknown.insert(id.clone());
                }
                if of_another || exempt.released.contains(id) {
                    continue;
                }
                // A crash ended it: whatever was posted of it is not repeated in its turn.
                let going = |row: &&Row| row.ending != "interrupted";
                let Some(row) = ledger.messages.get(id).filter(going) else { continue };
                let lane = lanes.entry(post.conversation_id.clone()).or_default();
                lane.push((row.accepted_seq, key.to_owned(), id.clone()));
            }
        });
        // A batch whose answer was lost is repeated one by one: the first posts are in order, and
        // so are the last ones.
        for (lane, mut posts) in lanes {
            for round in ["first", "last"] {
                let mut seen = HashSet::new();
                let known = |post: &&(u64, String, String)| {
                    round == "last" || !first_unknown.contains(&post.2)
                };
                let once = posts.iter().filter(known).filter(|post| seen.insert(post.0));
                let once: Vec<_> = once.collect();
                let behind = |pair: &&[&(u64, String, String)]| match round {
                    "first" => pair[0].0 > pair[1].0,
                    _ => pair[0].0 < pair[1].0,
                };
                let pairs = once.windows(2).filter(behind);
                self.out_of_order.extend(pairs.map(|pair| format!("{lane}, {round}: {pair:?}")));
                posts.reverse();
            }
        }
    }

    /// Invariant 4: every named copy is deleted, and said to be; the others are orphans by name.
    fn copies_are_accounted_for(&mut self, world: &World, ledger: &LedgerFile, exempt: &Exempt) {
        let spooled = world.spooled();
        if !spooled.is_empty() {
            self.unaccounted.push(format!("left in the spool: {spooled:?}"));
        }
        match ledger.copies("owed") {
            0 => {}
            owed => self.unaccounted.push(format!("{owed} copies are still owed")),
        }
        match world.route {
            RouteName::MediaApi => self.uploads_are_accounted_for(world, ledger),
            RouteName::OpenMessaging => self.hosted_are_accounted_for(world, ledger, exempt),
        }
    }

    fn uploads_are_accounted_for(&mut self, world: &World, ledger: &LedgerFile) {
        let summary = world.account(|account| account.summary());
        self.deleted = summary.deleted;
        let copies: usize = ledger.messages.values().map(|row| row.copies.len()).sum();
        let gone = ledger.copies("gone");
        let (orphaned, alive) = (self.orphaned, summary.uploads_alive);
        let mut expect = |holds: bool, what: String| {
            if !holds {
                self.unaccounted.push(what);
            }
        };
        expect(gone == summary.deleted, format!("{gone} called gone, {} are", summary.deleted));
        expect(alive <= orphaned, format!("{alive} are alive, {orphaned} are orphans by name"));
        expect(copies == gone + orphaned, format!("{copies} copies, {gone} gone, {orphaned} not"));
    }

    /// Our file's name is known before the upload, and what Genesys keeps is found by its address:
    /// nothing is an orphan. What Genesys lists belongs to a post, whose message has more copies
    /// than that; only recordings stay.
    fn hosted_are_accounted_for(&mut self, world: &World, ledger: &LedgerFile, exempt: &Exempt) {
        let cached = world.sandbox.with(|sandbox| sandbox.cached_items().to_vec());
        let alive = cached.iter().filter(|item| item.delete_asked_at_ms.is_none()).count();
        self.deleted = cached.len() - alive;
        let copies: usize = ledger.messages.values().map(|row| row.copies.len()).sum();
        let (gone, recordings) = (ledger.copies("gone"), ledger.copies("not-possible"));
        let sent = ledger.messages.values().filter(|row| row.stage == "sent").count();
        // One that was never uploaded, and has its mark with the key it took over, names none.
        let may_stand =
            |row: &&Row| row.stage == "failed" && row.possible_duplicate && !row.copies.is_empty();
        let doubted = ledger.messages.values().filter(may_stand).count();
        let (deleted, orphaned) = (self.deleted, self.orphaned);
        let hosted = ways::hosted_clips(world.data.path());
        let mut expect = |holds: bool, what: String| {
            if !holds {
                self.unaccounted.push(what);
            }
        };
        expect(hosted.is_empty(), format!("left on the media host: {hosted:?}"));
        expect(alive == 0, format!("{alive} cached items are alive"));
        expect(gone >= 2 * deleted, format!("{gone} called gone, {deleted} cached items are"));
        expect(orphaned == 0, format!("{orphaned} orphans of known names"));
        // Who let a message go as delivered knows of no recording.
        let most = sent + doubted;
        let named = (most.saturating_sub(exempt.released.len())..=most).contains(&recordings);
        expect(named, format!("{recordings} recordings named, {sent} sent, {doubted} doubted"));
        expect(sent == 0 || deleted > 0, format!("{sent} sent, and no cached item deleted"));
        expect(copies == gone + recordings, format!("{copies} copies, {gone} gone"));
    }
}

impl fmt::Display for Reckoning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reckoning { promises, accepted, messages, posts, doubled, marked, .. } = self;
        let Reckoning { interrupted, deleted, orphaned, .. } = self;
        write!(
            f,
            "{promises} promises ({accepted} of them 202), {messages} records, {posts} posts"
        )?;
        write!(f, "; {doubled} doubled, {marked} marked; {interrupted} interrupted")?;
        write!(f, "; {deleted} copies deleted, {orphaned} orphaned")?;
        for (what, found) in self.findings() {
            write!(f, "; {} {what}", found.len())?;
        }
        for (what, found) in self.findings() {
            for finding in found.iter().take(SHOWN) {
                write!(f, "\n  {what}: {finding}")?;
            }
        }
        Ok(())
    }
}

/// How often each transcript, which is also a key, stands in its conversation.
fn posts_by_key(world: &World) -> HashMap<String, usize> {
    world.account(|account| {
        let mut posts = HashMap::new();
        for post in account.posts() {
            *posts.entry(post.transcript.clone()).or_default() += 1;
        }
        posts
    })
}
