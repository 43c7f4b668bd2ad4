//! `minthouse doctor`: is everything as it must be, and if not, what to do.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::app::sealed_columns;
use crate::commands::ledger::Doubt;
use crate::commands::{House, Opening, keys, ledger, ledger_evm};
use crate::ledger::ledgers::Ledgers;
use crate::platform::Platform;
use crate::platform::config::Config;
use crate::platform::db::{inspect, migrate};
use crate::tenancy::audit::check::{self, Finding};
use crate::tenancy::rotate;
use crate::tenancy::scope::HouseTx;
use crate::tenancy::store;

/// How far the database's clock may lie from ours.
const CLOCK_TOLERANCE_SECONDS: i64 = 5;

/// Allotments whose balances are not the sums of their entries: `tenant/allotment`.
const STOCK_DIFFERENCES: &str = "
    SELECT allotment.tenant_id || '/' || allotment.id AS name
      FROM allotments AS allotment
      LEFT JOIN LATERAL (
            SELECT coalesce(sum(available_delta), 0) AS available, coalesce(sum(reserved_delta), 0) AS reserved,
                   coalesce(sum(issued_delta), 0) AS issued, coalesce(sum(void_delta), 0) AS void
              FROM stock_entries AS entry
             WHERE entry.tenant_id = allotment.tenant_id AND entry.allotment_id = allotment.id) AS sums ON true
     WHERE (allotment.available, allotment.reserved, allotment.issued, allotment.void)
           IS DISTINCT FROM (sums.available, sums.reserved, sums.issued, sums.void)";

/// The ledgers that work waits for.
const LEDGERS_DUE: &str = "
    SELECT ledger AS name FROM issuances WHERE due_at IS NOT NULL
     UNION
    SELECT ledger FROM transfers WHERE state IN ('REQUESTED', 'LOCKED', 'SUBMITTED', 'CONFIRMED', 'UNKNOWN')";

/// The ledgers that work waits for and that this server does not have.
pub async fn ledgers_missing(owner_url: &str, ledgers: &Ledgers) -> Result<Vec<String>> {
    let due = inspect::names(owner_url, LEDGERS_DUE).await?;
    Ok(due.into_iter().filter(|name| !name.parse().is_ok_and(|kind| ledgers.get(kind).is_some())).collect())
}

/// A server must not start with roles that row security does not hold.
pub async fn refuse_unsafe_roles(owner_url: &str) -> Result<()> {
    let findings = inspect::unsafe_roles(owner_url).await?;
    if let Some(first) = findings.first() {
        bail!("{}; {}", first.what, first.remedy);
    }
    Ok(())
}

struct Report {
    healthy: bool,
}

impl Report {
    fn say(&mut self, name: &str, trouble: Vec<(String, String)>, fine: &str) {
        if trouble.is_empty() {
            println!("ok    {name:<14} {fine}");
            return;
        }
        self.healthy = false;
        for (what, remedy) in trouble {
            println!("WRONG {name:<14} {what}\n      {:<14} → {remedy}", "");
        }
    }
}

pub async fn run(config: &Config) -> Result<ExitCode> {
    let quiet = Config { log: "warn".into(), ..config.clone() };
    // Opening migrates, checks the secrets and refuses unsafe roles; what goes wrong there says what to do itself.
    let house = House::open(&quiet, Opening::ToLook).await?;
    let owner = house.place.owner_url();
    let platform = &house.app.platform;
    let mut report = Report { healthy: true };

    report.say(
        "keys",
        Vec::new(),
        &format!("{} signing key(s), master key readable", house.secrets.signing_keys.len()),
    );
    report.say("migrations", Vec::new(), &format!("all {} have run", migrate::count()));

    let roles = inspect::unsafe_roles(&owner).await?;
    let trouble = roles.into_iter().map(|finding| (finding.what, finding.remedy)).collect();
    report.say("roles", trouble, "own nothing, are no superusers, cannot bypass row security");

    let open = inspect::tables_without_row_security(&owner).await?;
    let trouble = open
        .into_iter()
        .map(|table| (format!("{table} has no row security"), format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")))
        .collect();
    report.say("row security", trouble, "on for every table");

    let apart = (inspect::clock(&owner).await? - platform.clock.now()).num_seconds();
    let trouble = if apart.abs() > CLOCK_TOLERANCE_SECONDS {
        vec![(
            format!("the database's clock is {apart} s off this machine's"),
            "let both machines keep time by NTP".into(),
        )]
    } else {
        Vec::new()
    };
    report.say("clock", trouble, "agrees with the database's");

    let differences = inspect::names(&owner, STOCK_DIFFERENCES).await?;
    let trouble = differences
        .into_iter()
        .map(|name| {
            (
                format!("the balances of allotment {name} are not the sums of its entries"),
                "stop its activity and compare it with stock_entries".into(),
            )
        })
        .collect();
    report.say("stock", trouble, "every balance is the sum of its ledger");

    let enterprises = store::all_enterprises(&HouseTx::read(&platform.database).await?).await?;
    let (mut trouble, mut sums) = (Vec::new(), ledger::Sums::default());
    for enterprise in &enterprises {
        match ledger::look_over(&house.app, enterprise.id, &[]).await? {
            Ok(found) => sums.add(&found),
            Err(doubt @ Doubt::Changed(_)) => trouble.push((
                format!("the ledger of `{}` is not what it was: {doubt}", enterprise.slug),
                "restore the ledger's tables from a backup and find out who changed them".into(),
            )),
            Err(doubt @ Doubt::Silent { .. }) => trouble.push((
                format!("items of `{}` were not compared: {doubt}", enterprise.slug),
                "see that the ledger can be reached from here, and look again".into(),
            )),
        }
    }
    let fine = format!("{} chains whole: {sums}", enterprises.len());
    report.say("ledger", trouble, &fine);

    let trouble = ledgers_missing(&owner, &house.app.ledgers).await?.into_iter();
    let trouble = trouble.map(|name| {
        (
            format!("issuances or transfers wait for the ledger {name}, which is not configured here"),
            "configure it on a server that does background work".into(),
        )
    });
    report.say("ledger work", trouble.collect(), "none waits for a ledger that is not there");
    if let Some(evm) = &house.app.evm {
        let (trouble, fine) = ledger_evm::look(evm).await;
        report.say("evm ledger", trouble, &fine);
    }

    let trouble = match platform.objects.probe().await {
        Ok(()) => Vec::new(),
        Err(fault) => vec![(
            format!("uploaded files cannot be kept: {}", fault.with_causes()),
            "look at the folder `objects` in the data folder, or at the options s3_… and at the bucket".into(),
        )],
    };
    report.say("objects", trouble, "the store takes files, and none in another's place");

    let (trouble, fine) = audit_log(platform).await?;
    report.say("audit log", trouble, &fine);
    let mut trouble = Vec::new();
    let columns = sealed_columns();
    for (slug, tenant) in keys::whose(&house, None).await? {
        let left = rotate::left(platform, tenant, &columns).await?;
        if left > 0 {
            trouble.push((
                format!("{left} values of `{slug}` stand under a data key before its newest"),
                format!("finish the rotation: `minthouse keys rotate --enterprise {slug}`"),
            ));
        }
    }
    report.say("sealed values", trouble, "all under their enterprise's newest data key");

    let healthy = report.healthy;
    house.close().await?;
    println!("\n{}", if healthy { "The house is in order." } else { "The house needs the remedies above." });
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong with the enterprises' audit chains, the house's own among them; and what is to be said if nothing is.
async fn audit_log(platform: &Platform) -> Result<(Vec<(String, String)>, String)> {
    let tenants = store::audit::tenants(&HouseTx::read(&platform.database).await?).await?;
    let (mut trouble, mut linked) = (Vec::new(), 0);
    for (tenant, slug) in &tenants {
        let checked = check::check(platform, *tenant).await?;
        match checked.chain {
            Finding::Whole { links } => linked += links,
            Finding::Broken { sequence, why } => trouble.push((
                format!("the audit chain of `{slug}` is broken at record {sequence}: {why}"),
                "compare it with an earlier export, restore it from a backup, and find out who changed it".into(),
            )),
        }
        if checked.lost > 0 {
            trouble.push((
                format!("{} audit records of `{slug}` stand outside the chain and do not wait for it", checked.lost),
                "compare it with an earlier export, restore it from a backup, and find out who changed it".into(),
            ));
        }
        if checked.late > 0 {
            trouble.push((
                format!("{} audit records of `{slug}` have waited for their place in the chain too long", checked.late),
                "see that a server with `worker` runs, and what its log says of the audit chain".into(),
            ));
        }
    }
    Ok((trouble, format!("{} chains whole: {linked} records", tenants.len())))
}
