//! A gateway in this process, its sandbox beside it, both on free ports, all data in a folder of
//! its own. When it is dropped it checks what must hold after every test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use voicepost::app::{Addresses, App};
use voicepost::domain::{CopyState, Record, RouteName};
use voicepost::pipeline::Pipeline;
use voicepost::sandbox::{FaultRule, Sandbox, SandboxServer, SandboxSettings};
use voicepost::settings::{AccessSecrets, Credentials, LedgerUrl, Secret, Settings};

use super::{Client, Contract, Form, Reply, Request, eventually, log};

/// Where the media host of a gateway under test is said to be; nobody is there.
pub const MEDIA_BASE_URL: &str = "http://127.0.0.1:1";

/// Settings of the route open-messaging, to the integration of the sandbox.
pub fn open_messaging(settings: &mut Settings) {
    settings.genesys.route = Some(RouteName::OpenMessaging);
    settings.genesys.open_messaging.integration_id = SandboxSettings::default().integration_id;
    settings.public.base_url = Some(MEDIA_BASE_URL.to_owned());
}

/// What a gateway is started with.
pub struct Builder {
    settings: Settings,
    sandbox: SandboxSettings,
    faults: Vec<FaultRule>,
    client_secret: Option<String>,
    access: AccessSecrets,
    data: TempDir,
}

impl Builder {
    /// The folder that the gateway will find, for what an earlier process left in it.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Changes the gateway's settings.
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Builder {
        change(&mut self.settings);
        self
    }

    /// The route open-messaging; clips get addresses below [`MEDIA_BASE_URL`].
    pub fn open_messaging(self) -> Builder {
        self.settings(open_messaging)
    }

    /// Changes the sandbox's settings.
    pub fn sandbox(mut self, change: impl FnOnce(&mut SandboxSettings)) -> Builder {
        change(&mut self.sandbox);
        self
    }

    /// Trouble that is there from the start.
    pub fn faults(mut self, rules: Vec<FaultRule>) -> Builder {
        self.faults = rules;
        self
    }

    /// A secret that the sandbox does not know.
    pub fn wrong_secret(mut self, secret: &str) -> Builder {
        self.client_secret = Some(secret.to_owned());
        self
    }

    /// What callers and operators are known by.
    pub fn access(mut self, change: impl FnOnce(&mut AccessSecrets)) -> Builder {
        change(&mut self.access);
        self
    }

    #[track_caller]
    pub fn start(self) -> TestGateway {
        match self.try_start() {
            Ok(gateway) => gateway,
            Err(error) => panic!("the gateway does not start: {error}"),
        }
    }

    /// Starts, or says why not in the words of `serve`.
    pub fn try_start(mut self) -> Result<TestGateway, String> {
        log::install();
        let data = self.data;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let secret = self.client_secret.unwrap_or(self.sandbox.client_secret.clone());
        let client_id = self.sandbox.client_id.clone();
        let credentials = Credentials {
            client_id,
            client_secret: Secret::new(secret).into(),
            access: self.access,
        };
        let sandbox = SandboxServer::start(self.sandbox, listener).expect("the sandbox starts");
        sandbox.with(|sandbox| sandbox.set_faults(self.faults)).expect("sound fault rules");
        let url = sandbox.base_url().to_owned();
        self.settings.genesys.login_url = Some(url.clone());
        self.settings.genesys.api_url = Some(url);
        self.settings.ledger.url = LedgerUrl::Sqlite(data.path().join("voicepost.db"));
        self.settings.spool.dir = data.path().join("spool");
        self.settings.genesys.open_messaging.files_dir = data.path().join("hosted");
        self.settings.check().map_err(|error| error.to_string())?;
        let fatal = Arc::default();
        let running = run(self.settings, credentials, &fatal)?;
        let contract = Contract::of_this_build();
        let Running { addresses, pipeline, stop, thread } = running;
        let Addresses { public, outside, admin } = addresses;
        Ok(TestGateway {
            public: Client::new(public, Some(Arc::clone(&contract))),
            outside: outside.map(|one| Client::new(one, Some(Arc::clone(&contract)))),
            contract,
            admin: Client::new(admin, None),
            sandbox,
            pipeline: Some(pipeline),
            fatal,
            stop: Some(stop),
            thread: Some(thread),
            data,
            orphans_erased: 0,
        })
    }
}

struct Running {
    addresses: Addresses,
    pipeline: Arc<Pipeline>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<bool>,
}

/// Runs a gateway on a thread with an actix system of its own, until it is told to stop; the
/// thread's result says whether the drain came to its end.
fn run(
    settings: Settings,
    credentials: Credentials,
    fatal: &Arc<Mutex<Vec<String>>>,
) -> Result<Running, String> {
    let (started, start) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let fatal = Arc::clone(fatal);
    let fatal = Arc::new(move |reason| fatal.lock().expect("no test panics here").push(reason));
    let thread = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            match App::start(&settings, credentials, fatal, None).await {
                Ok(app) => {
                    let found = (app.addresses, Arc::clone(&app.pipeline));
                    started.send(Ok(found)).expect("the test waits");
                    stopped.await.expect("the test stops its gateway");
                    app.drain().await
                }
                Err(error) => {
                    started.send(Err(error.to_string())).expect("the test waits");
                    false
                }
            }
        })
    });
    let (addresses, pipeline) = start.recv().expect("the gateway's thread lives")?;
    Ok(Running { addresses, pipeline, stop, thread })
}

/// A running gateway with its sandbox.
pub struct TestGateway {
    /// The senders' listener.
    pub public: Client,
    /// The listener for signed addresses alone, where there is one.
    pub outside: Option<Client>,
    /// The operators' listener.
    pub admin: Client,
    /// The stand-in for Genesys Cloud.
    pub sandbox: SandboxServer,
    /// The folder with ledger and spool.
    pub data: TempDir,
    /// Uploads that nobody can name, and whose records were erased.
    pub orphans_erased: usize,
    contract: Arc<Contract>,
    pipeline: Option<Arc<Pipeline>>,
    fatal: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<bool>>,
}

impl TestGateway {
    /// Quick and small: one worker, pauses of milliseconds, audio that lives for two seconds.
    pub fn builder() -> Builder {
        let mut settings = Settings::default();
        settings.genesys.route = Some(RouteName::MediaApi);
        settings.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        settings.admin.listen = settings.server.listen;
        settings.server.workers = 1;
        settings.server.linger_seconds = 2;
        settings.ledger.free_bytes_min = 0;
        // Most tests compare receipts and histories, which must not depend on who was faster.
        settings.audio.waveforms = false;
        settings.delivery.pause_ms_min = 20;
        settings.delivery.pause_ms_max = 50;
        settings.delivery.later_pause_ms_min = 50;
        settings.delivery.later_pause_ms_max = 100;
        settings.purge.ttl_seconds = 2;
        settings.purge.delay_seconds_min = 1;
        settings.purge.pause_ms_min = 20;
        settings.purge.pause_ms_max = 50;
        Builder {
            settings,
            sandbox: SandboxSettings::default(),
            faults: Vec::new(),
            client_secret: None,
            access: AccessSecrets::default(),
            data: TempDir::new().expect("a folder for the data"),
        }
    }

    #[track_caller]
    pub fn start() -> TestGateway {
        TestGateway::builder().start()
    }

    #[track_caller]
    pub fn send(&self, form: &Form) -> Reply {
        self.public.send(&form.request())
    }

    #[track_caller]
    pub fn get(&self, id: &str) -> Reply {
        self.public.get(&format!("/v1/voice-messages/{id}"))
    }

    #[track_caller]
    pub fn delete(&self, id: &str) -> Reply {
        self.public.send(&Request::new("DELETE", &format!("/v1/voice-messages/{id}")))
    }

    #[track_caller]
    pub fn admin_get(&self, path: &str) -> Reply {
        self.admin.get(path)
    }

    #[track_caller]
    pub fn admin_post(&self, path: &str, body: &Value) -> Reply {
        self.admin.send(&Request::new("POST", path).body(body.to_string()))
    }

    /// Puts these fault rules in the place of those in force.
    #[track_caller]
    pub fn trouble(&self, rules: Vec<FaultRule>) {
        self.sandbox.with(|sandbox| sandbox.set_faults(rules)).expect("sound fault rules");
    }

    /// Reads the sandbox.
    pub fn at_genesys<T>(&self, read: impl FnOnce(&Sandbox) -> T) -> T {
        self.sandbox.with(|sandbox| read(sandbox))
    }

    /// The receipt, once `want` says that it is as expected.
    #[track_caller]
    pub fn receipt_when(&self, id: &str, what: &str, want: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || Some(self.get(id).receipt(200)).filter(|receipt| want(receipt)))
    }

    /// The document that every answer of `public` is held against.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    pub fn pipeline(&self) -> &Arc<Pipeline> {
        self.pipeline.as_ref().expect("it is there until the drop")
    }

    /// Every record of the ledger.
    pub fn records(&self) -> Vec<Record> {
        let ledger = Arc::clone(self.pipeline().ledger());
        wait_for(async move {
            let rows = ledger.history_after(None, 0, u32::MAX).await.expect("a readable ledger");
            let mut records = Vec::new();
            for row in rows.iter().filter(|row| row.event == "accepted") {
                records.extend(ledger.find(row.message_id).await.expect("a readable ledger"));
            }
            records
        })
    }

    /// Begins the shutdown and waits until no message is awake.
    fn quiet(&self) {
        let admission = self.pipeline().admission();
        admission.drain().begin();
        eventually("the drain lets go of every message", || {
            (admission.drives_awake() == 0).then_some(())
        });
    }

    /// Nothing accepted is lost, nothing is doubled unmarked, no copy is unaccounted for.
    fn check_the_books(&self) {
        let records = self.records();
        for record in records.iter().filter(|record| record.stage.is_open()) {
            assert!(record.is_durable(), "{} is open and not durable", record.id);
        }
        let copies = || records.iter().flat_map(|record| &record.copies);
        let count = |states: &[CopyState]| copies().filter(|c| states.contains(&c.state)).count();
        let unnamed = count(&[CopyState::Orphaned, CopyState::GivenUp]) + self.orphans_erased;
        let owed: Vec<Value> = copies()
            .filter(|copy| copy.state == CopyState::Owed)
            .filter_map(|copy| serde_json::from_slice(&copy.private.0).ok())
            .collect();
        let marked = records.iter().filter(|record| record.possible_duplicate).count();
        self.at_genesys(|sandbox| {
            let uploads = sandbox.account().uploads().iter();
            let stray = uploads.filter(|upload| {
                let owed = || owed.iter().any(|copy| copy["media_id"] == upload.media_id.as_str());
                upload.deleted_at_ms.is_none() && !owed()
            });
            let stray = stray.count();
            assert!(stray <= unnamed, "{stray} uploads are alive and owed by nobody ({unnamed})");
            let summary = sandbox.account().summary();
            if marked == 0 {
                assert_eq!(summary.posts_repeated, 0, "posted twice, and not marked");
            }
        });
    }
}

/// Runs a future that waits for other threads only.
pub fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if !failed {
            self.quiet();
            self.check_the_books();
        }
        self.pipeline = None;
        let stop = self.stop.take().map(|stop| stop.send(()));
        let drained = self.thread.take().map(JoinHandle::join);
        if !failed {
            assert_eq!(stop, Some(Ok(())), "the gateway ended before the test did");
            assert_eq!(drained.transpose().expect("its thread did not panic"), Some(true));
            assert_eq!(*self.fatal.lock().expect("no test panics here"), [""; 0]);
        }
    }
}
