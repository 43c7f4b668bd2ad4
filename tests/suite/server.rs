//! The server as its operators meet it: the `minthouse` program on a data folder, and what it serves beside GraphQL.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use minthouse::activities::verify;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::app::{MANIFEST, TestApp, client, text};
use crate::transport::clients::script;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tenants/demo.toml");

/// A data folder of one test, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("minthouse-server-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_minthouse"));
        // Of the environment nothing counts that configures a server.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("MINTHOUSE_") || name == "DATABASE_URL") {
                command.env_remove(name);
            }
        }
        command.args(arguments).arg("--data-dir").arg(self.0.join("data")).current_dir(&self.0);
        command
    }

    /// Runs the program to its end.
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program can be run")
    }

    /// What the program prints when all goes well.
    fn print(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{errors}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).expect("it prints text")
    }

    /// What it complains about when it does not.
    fn complaint(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} went well: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn serve(&self, manifests: &[&str]) -> Served {
        let mut arguments = vec!["serve", "--development", "--listen", "127.0.0.1:0"];
        for manifest in manifests {
            arguments.extend(["--tenants", manifest]);
        }
        let mut child =
            self.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it can be run");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, greeting) = mpsc::channel();
        // Read to the end, so that the server never waits for somebody to listen.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some((_, after)) = line.split_once("is serving on http://") {
                    let _ = sender.send(after.split_whitespace().next().unwrap_or_default().to_owned());
                }
            }
        });
        match greeting.recv_timeout(Duration::from_secs(60)) {
            Ok(address) => Served { child, address },
            Err(_) => {
                let _ = child.kill();
                panic!("the server does not say where it serves")
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Root's databases lie elsewhere, behind a link.
        if let Ok(cluster) = fs::read_link(self.0.join("data/pg"))
            && let Some(home) = cluster.parent()
        {
            let _ = fs::remove_dir_all(home);
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server at work; killed if the test forgets it.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill touches no memory, and the process is this test's own and not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id().cast_signed(), signal) }, 0);
    }

    fn ended(&mut self, within: Duration) -> std::process::ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it has not ended within {within:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    async fn ask(&self, token: Option<&str>, query: &str) -> Value {
        let mut request = client().post(format!("http://{}/graphql", self.address)).json(&json!({ "query": query }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer: Value = request.send().await.expect("it answers").json().await.expect("in JSON");
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The postmaster's process on a data folder.
fn database_of(folder: &Folder) -> i32 {
    let file = fs::read_to_string(folder.0.join("data/pg/postmaster.pid")).expect("a running server has this file");
    file.lines().next().and_then(|line| line.parse().ok()).expect("its first line is a number")
}

fn is_running(process: i32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn is_token(text: &str) -> bool {
    let line = text.strip_suffix('\n').unwrap_or_default();
    line.split('.').count() == 3 && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_is_opened_used_killed_and_taken_over() {
    let folder = Folder::new("life");
    let mut server = folder.serve(&[MANIFEST]);

    // Beside it: a second server is refused, and the commands work on the running one.
    let second = folder.complaint(&["serve", "--development", "--listen", "127.0.0.1:0"]);
    assert!(second.contains(&server.child.id().to_string()), "it names who holds the folder: {second}");
    let token = folder.print(&["token", "mint", "--enterprise", "alpha", "--role", "OWNER"]);
    assert!(is_token(&token), "{token}");
    let token = token.trim();
    assert_eq!(
        server.ask(Some(token), "{ viewer { enterprise { slug } } }").await["viewer"]["enterprise"]["slug"],
        "alpha"
    );
    let listed = folder.print(&["tenants", "list"]);
    assert!(["alpha", "beta"].iter().all(|slug| listed.contains(slug)), "{listed}");
    let again = folder.print(&["tenants", "apply", MANIFEST]);
    assert!(again.contains(" 0 created"), "{again}");
    // Data keys are exchanged while the server works on.
    let sign_on = "mutation { holderSignOn(input: {phone: \"13800000001\"}) { holder { id } userErrors { code } } }";
    let known = server.ask(Some(token), sign_on).await;
    let rotated = folder.print(&["keys", "rotate", "--all"]);
    for slug in ["alpha", "beta", "house"] {
        assert!(rotated.contains(&format!("{slug}: has a new data key, version 2")), "{rotated}");
    }
    let reveal = format!(
        "mutation {{ holderReveal(input: {{id: {}, fields: [PHONE]}}) {{ personalData {{ phone }} userErrors {{ code }} }} }}",
        known["holderSignOn"]["holder"]["id"]
    );
    let shown = server.ask(Some(token), &reveal);
    assert_eq!(shown.await["holderReveal"]["personalData"]["phone"], "13800000001");
    assert_eq!(server.ask(Some(token), sign_on).await, known, "the same holder is found");
    assert!(folder.complaint(&["keys", "rotate", "--enterprise", "nobody"]).contains("tenants list"));
    assert!(folder.complaint(&["keys", "rotate"]).contains("--all"));
    let healthy = folder.print(&["doctor"]);
    assert!(healthy.contains("ok    sealed values"), "{healthy}");
    assert!(
        !healthy.contains("WRONG") && healthy.lines().filter(|line| line.starts_with("ok ")).count() >= 6,
        "{healthy}"
    );

    // Killed without a word, with its database; the next one takes over and nothing is lost.
    let made = "mutation { holderSignOn(input: {phone: \"13800000001\"}) { holder { id } } }";
    let holder = text(&server.ask(Some(token), made).await["holderSignOn"]["holder"]["id"]);
    let database = database_of(&folder);
    server.signal(libc::SIGKILL);
    server.ended(Duration::from_secs(10));
    let mut next = folder.serve(&[]);
    assert!(!is_running(database), "two servers on one cluster");
    let found = next.ask(Some(token), &format!("{{ holder(id: \"{holder}\") {{ phoneMasked }} }}")).await;
    assert_eq!(found["holder"]["phoneMasked"], "138****0001", "the data is there, and the old token is good");

    // Asked to stop, it stops by itself, and its database with it.
    let database = database_of(&folder);
    assert!(is_running(database));
    next.signal(libc::SIGTERM);
    assert!(next.ended(Duration::from_secs(20)).success());
    assert!(!is_running(database), "the database outlives its server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_it_issues_goes_on_where_it_was() {
    const SUPPLY: i64 = 60_000;
    let folder = Folder::new("issuing");
    let mut server = folder.serve(&[MANIFEST]);
    let token = |enterprise| folder.print(&["token", "mint", "--enterprise", enterprise, "--role", "OWNER"]);
    let (owner, house) = (token("alpha"), token("house"));
    let (owner, house) = (owner.trim(), house.trim());

    let series = server.ask(Some(owner), "{ seriesList(first: 1) { nodes { id } } }").await;
    let series = text(&series["seriesList"]["nodes"][0]["id"]);
    let words =
        "name: {chinese: \"藏品\", english: \"Piece\"}, description: {chinese: \"\", english: \"\"}, author: \"A\"";
    let create = format!("collectibleCreate(input: {{seriesId: \"{series}\", {words}, supply: {SUPPLY}}})");
    let made = server.ask(Some(owner), &format!("mutation {{ {create} {{ collectible {{ id }} }} }}")).await;
    let id = text(&made["collectibleCreate"]["collectible"]["id"]);
    let submit = format!("mutation {{ collectibleSubmit(input: {{id: \"{id}\"}}) {{ userErrors {{ code }} }} }}");
    server.ask(Some(owner), &submit).await;
    let review = server.ask(Some(house), "{ reviews(first: 1, filter: {state: PENDING}) { nodes { id } } }").await;
    let review = text(&review["reviews"]["nodes"][0]["id"]);
    let decide = format!("reviewDecide(input: {{id: \"{review}\", verdict: APPROVE}}) {{ userErrors {{ code }} }}");
    server.ask(Some(house), &format!("mutation {{ {decide} }}")).await;
    let issue = format!(
        "mutation {{ collectibleIssue(input: {{id: \"{id}\", idempotencyKey: \"once\"}}) {{ replayed userErrors {{ code }} }} }}"
    );
    server.ask(Some(owner), &issue).await;

    // Killed again and again, wherever it happens to be; the last one may finish.
    let progress = format!("{{ collectible(id: \"{id}\") {{ state issuedCount }} }}");
    let (mut reached, mut kills) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let seen = server.ask(Some(owner), &progress).await["collectible"].clone();
        let issued = seen["issuedCount"].as_i64().expect("a number");
        assert!(issued >= reached, "what was issued stays issued: {issued} after {reached}");
        if seen["state"] == "ISSUED" {
            assert_eq!(issued, SUPPLY);
            break;
        }
        reached = issued;
        if kills < 4 {
            kills += 1;
            server.signal(libc::SIGKILL);
            server.ended(Duration::from_secs(10));
            server = folder.serve(&[]);
            // Whoever lost the answer asks again under the same key.
            let again = server.ask(Some(owner), &issue).await;
            assert_eq!(again["collectibleIssue"], json!({ "replayed": true, "userErrors": [] }));
        }
        assert!(Instant::now() < deadline, "it does not end: {seen}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(kills > 1, "it was killed on its way");
    let audited = folder.print(&["ledger", "audit", "--tenant", "alpha"]);
    assert!(audited.starts_with("ok    alpha"), "{audited}");
    let healthy = folder.print(&["doctor"]);
    assert!(!healthy.contains("WRONG"), "{healthy}");
}

/// Draws under each of its keys, one after the other, and asks again wherever an answer does not come.
async fn draw_on(server: watch::Receiver<String>, token: String, activity: String, draws: usize) -> Vec<String> {
    let mut made = Vec::with_capacity(draws);
    while made.len() < draws {
        let input = format!("activityId: \"{activity}\", idempotencyKey: \"key-{}\"", made.len());
        let query =
            format!("mutation {{ activityDraw(input: {{{input}}}) {{ draw {{ id }} userErrors {{ code }} }} }}");
        let address = format!("http://{}/graphql", *server.borrow());
        let request = client().post(address).bearer_auth(&token).json(&json!({ "query": query }));
        let answer = async { request.send().await?.json::<Value>().await }.await.unwrap_or_default();
        let payload = &answer["data"]["activityDraw"];
        assert!(payload["userErrors"].as_array().is_none_or(Vec::is_empty), "{answer}");
        match payload["draw"]["id"].as_str() {
            Some(id) => made.push(id.to_owned()),
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_draws_on_while_server_and_database_are_killed() {
    const PEOPLE: usize = 16;
    const DRAWS: usize = 60;
    let folder = Folder::new("drawing");
    let mut server = folder.serve(&[MANIFEST]);
    let token = |enterprise| folder.print(&["token", "mint", "--enterprise", enterprise, "--role", "OWNER"]);
    let (owner, house) = (token("alpha"), token("house"));
    let (owner, house) = (owner.trim(), house.trim());

    let found = server.ask(Some(owner), "{ collectibles(first: 1) { nodes { id } } }").await;
    let collectible = text(&found["collectibles"]["nodes"][0]["id"]);
    let words = "name: {chinese: \"活动\", english: \"Activity\"}";
    let prize =
        format!("{{collectibleId: \"{collectible}\", quantity: 10, level: 0, oddsPerMillion: 100000, {words}}}");
    let window = "opensAt: \"2026-01-01T00:00:00Z\", closesAt: \"2036-01-01T00:00:00Z\"";
    let create = format!(
        "activityCreate(input: {{kind: DRAW, {words}, {window}, chancesPerHolder: {DRAWS}, prizes: [{prize}]}})"
    );
    let made = server
        .ask(Some(owner), &format!("mutation {{ {create} {{ activity {{ id }} userErrors {{ code field }} }} }}"))
        .await;
    let activity = text(&made["activityCreate"]["activity"]["id"]);
    server
        .ask(
            Some(owner),
            &format!("mutation {{ activitySubmit(input: {{id: \"{activity}\"}}) {{ userErrors {{ code }} }} }}"),
        )
        .await;
    let review = server.ask(Some(house), "{ reviews(first: 1, filter: {state: PENDING}) { nodes { id } } }").await;
    let review = text(&review["reviews"]["nodes"][0]["id"]);
    server
        .ask(
            Some(house),
            &format!(
                "mutation {{ reviewDecide(input: {{id: \"{review}\", verdict: APPROVE}}) {{ userErrors {{ code }} }} }}"
            ),
        )
        .await;
    let publish = format!("activityPublish(input: {{id: \"{activity}\", idempotencyKey: \"p\"}})");
    let published =
        server.ask(Some(owner), &format!("mutation {{ {publish} {{ activity {{ state drawRecordPath }} }} }}")).await;
    let path = text(&published["activityPublish"]["activity"]["drawRecordPath"]);

    let (address, heard) = watch::channel(server.address.clone());
    let mut drawers = tokio::task::JoinSet::new();
    for number in 0..PEOPLE {
        let sign_on = format!("mutation {{ holderSignOn(input: {{phone: \"138000001{number:02}\"}}) {{ token }} }}");
        let person = text(&server.ask(Some(owner), &sign_on).await["holderSignOn"]["token"]);
        drawers.spawn(draw_on(heard.clone(), person, activity.clone(), DRAWS));
    }
    let mut kills = 0;
    while !drawers.is_empty() && kills < 4 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        if drawers.len() < PEOPLE {
            break;
        }
        if kills % 2 == 0 {
            server.signal(libc::SIGKILL);
        } else {
            // SAFETY: kill touches no memory, and the process is this house's own database.
            assert_eq!(unsafe { libc::kill(database_of(&folder), libc::SIGKILL) }, 0);
        }
        kills += 1;
        server.ended(Duration::from_secs(30));
        server = folder.serve(&[]);
        address.send(server.address.clone()).expect("the crowd listens");
    }
    assert!(kills > 1, "both were killed while the crowd was drawing");
    let told: Vec<String> = drawers.join_all().await.into_iter().flatten().collect();
    let different: std::collections::BTreeSet<&String> = told.iter().collect();
    assert_eq!(different.len(), PEOPLE * DRAWS, "every key led to a draw of its own");

    let record = client().get(format!("http://{}{path}", server.address)).send().await.expect("it answers");
    let verified = verify::verify(&record.text().await.expect("a text")).unwrap_or_else(|flaw| panic!("{flaw}"));
    assert_eq!(verified.draws, told.len(), "nothing was drawn that nobody was told of");
    assert_eq!(verified.wins, 10, "what there was is won");
    let healthy = folder.print(&["doctor"]);
    assert!(!healthy.contains("WRONG"), "{healthy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_agrees_with_itself() {
    let folder = Folder::new("demo");
    let server = folder.serve(&[DEMO]);
    let url = format!("http://{}", server.address);
    let report = tokio::task::spawn_blocking(move || {
        let report = folder.print(&["demo", "--people", "50", "--clients", "10", "--url", &url]);
        (folder, report)
    });
    let (folder, report) = report.await.expect("the demonstration ends well");
    assert!(!report.is_empty());
    drop(server);
    drop(folder);
}

#[test]
fn mistakes_are_named_before_anything_is_touched() {
    let folder = Folder::new("mistakes");
    let sound = fs::read_to_string(MANIFEST).expect("it is there");
    let complaint = |place: &str, mistake: &str| {
        let broken = sound.replacen(place, mistake, 1);
        let line = 1 + broken.lines().take_while(|line| !line.contains(mistake)).count();
        fs::write(folder.0.join("broken.toml"), broken).expect("the folder is ours");
        (folder.complaint(&["tenants", "apply", "broken.toml", "--development"]), format!("broken.toml:{line}:"))
    };
    for (place, mistake) in [
        ("odds_per_million = 1_000_000", "odds_per_milion = 1"),
        ("collectible = \"two\"", "collectible = \"three\""),
        ("merchant = \"sandbox\"", "merchant = \"sandbag\""),
        ("role = \"OWNER\"", "role = \"BOSS\""),
        ("opens_at = 2026-01-01T00:00:00+08:00", "opens_at = 2026-01-01T00:00:00"),
        ("slug = \"beta\"", "slug = \"alpha\" # again"),
    ] {
        let (complaint, place) = complaint(place, mistake);
        assert!(complaint.contains(&place), "{mistake} stands at {place} {complaint}");
    }
    assert!(!folder.0.join("data").exists(), "nothing was started for it");
    // What only the use case knows is told with its place too.
    let (complaint, place) = complaint("slug = \"alpha\"", "slug = \"Alpha!\"");
    assert!(complaint.contains(&place), "{place} {complaint}");

    let production = folder.complaint(&["serve"]);
    assert!(production.contains("DATABASE_URL"), "{production}");
    assert!(folder.complaint(&["serve", "--config", "nowhere.toml"]).contains("nowhere.toml"));
    assert_eq!(folder.print(&["schema"]), minthouse::api::schema::sdl());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_how_it_is_and_which_keys_it_signs_with() {
    let app = TestApp::builder().idle().start().await;
    let get = async |path: &str| {
        let answer = client().get(format!("http://{}{path}", app.address)).send().await.expect("it answers");
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.text().await.expect("text")
    };
    assert_eq!(get("/healthz").await, "ok\n");
    assert_eq!(serde_json::from_str::<Value>(&get("/readyz").await).expect("JSON"), json!({ "ready": true }));
    let owner = app.owner("alpha").await;
    app.ok(Some(&owner), "{ viewer { kind } }", json!({})).await;
    let metrics = get("/metrics").await;
    assert!(metrics.lines().any(|line| line.starts_with("# TYPE ")), "{metrics}");

    let keys: Value = serde_json::from_str(&get("/.well-known/jwks.json").await).expect("JSON");
    let header = owner.split('.').next().expect("a JWT has a header");
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    let key = keys["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == header["kid"]).expect("its key");
    assert_eq!(key["alg"], header["alg"]);
    assert!(key.get("d").is_none(), "the private part stays at home");

    app.app.platform.database.close();
    let answer = client().get(format!("http://{}/readyz", app.address)).send().await.expect("it answers");
    assert_eq!(answer.status().as_u16(), 503, "without a database it is not ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_clients_understand_it() {
    let app = TestApp::start().await;
    let owner = app.owner("alpha").await;
    let collectible = app.collectible(&owner).await;
    let audits = script("audits.mjs", json!({ "url": app.url(), "token": owner })).await;
    assert_eq!(audits.len(), 61, "{audits:#?}");
    let operations = json!({
        "url": app.url(),
        "token": owner,
        "wrongToken": "bad",
        "query": { "query": "{ viewer { kind enterprise { slug } } }" },
        "mutation": { "query": "mutation { holderSignOn(input: {phone: \"13800000001\"}) { holder { id } } }" },
        // An issuance that is over is told of once.
        "subscription": { "query": "subscription($id: ID!) { issuanceProgress(id: $id) { state } }", "variables": { "id": collectible } },
        "events": 1,
        "endless": { "query": "subscription { events(after: \"ZXZlbnRzOjA\") { sequence } }" },
    });
    let sse = script("sse.mjs", operations.clone()).await;
    assert_eq!(sse.len(), 12, "{sse:#?}");
    let mut operations = operations;
    operations["url"] = json!(format!("ws://{}/graphql", app.address));
    let websocket = script("websocket.mjs", operations).await;
    assert_eq!(websocket.len(), 6, "{websocket:#?}");
}
