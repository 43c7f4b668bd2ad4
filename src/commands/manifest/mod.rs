//! Tenant manifests: enterprises and their campaigns, described in a file and brought into being.
//!
//! Everything goes through the same use cases as the API's mutations. What has been made is noted under the manifest's
//! key for it, with a digest of what the manifest said, so that a second application finds it, moves on what was
//! interrupted half way, and refuses to pretend that a changed text had any effect.

mod model;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use toml::Spanned;
use uuid::Uuid;

use crate::activities::create::{ActivityRequest, AwardRequest, Limits, LotRequest, PrizeRequest};
use crate::activities::model::{ActivityId, ActivityKind, ActivityState};
use crate::activities::participation::Rule;
use crate::activities::terms::Exhaustion;
use crate::activities::{self, publish, submit};
use crate::api::review;
use crate::app::App;
use crate::catalog::collectible;
use crate::catalog::issue;
use crate::catalog::media::model::{MediaId, Moderation};
use crate::catalog::media::upload::{self, UploadRequest};
use crate::catalog::model::design::{Attribute, Attributes, Design, SeriesDesign};
use crate::catalog::model::{CollectibleId, CollectibleState, SeriesId};
use crate::catalog::series;
use crate::catalog::store::issuances;
use crate::platform::media;
use crate::platform::refusal::{Code, Refusal};
use crate::platform::vault::sha256;
use crate::sales::merchant::{self, MerchantRequest};
use crate::sales::model::{BindingState, MerchantId, PaymentChannel};
use crate::sales::offers::{self, OfferRequest};
use crate::sales::{domain, domain::DomainRequest};
use crate::tenancy::branch::{self, BranchRequest, OwnerRequest};
use crate::tenancy::enterprise::{self, EnterpriseRequest, RESERVED_SLUG};
use crate::tenancy::loaders::Batch;
use crate::tenancy::model::{EnterpriseErrorCode, EnterpriseId, EnterpriseKind};
use crate::tenancy::operator::{self, OperatorRequest};
use crate::tenancy::password;
use crate::tenancy::permission::Role;
use crate::tenancy::review::Decision;
use crate::tenancy::scope::{HouseScope, HouseTx, TenantScope};
use crate::tenancy::store::{self, DirectoryKind};

use model::{Enterprise, Manifest, Person, Prize, Source, Text};

/// Between two looks at a ledger that takes its time.
const BREATH: Duration = Duration::from_millis(20);

/// A sign-in that a manifest gives, to be shown to whoever tries it out.
pub struct SignIn {
    pub sign_in: String,
    pub password: String,
    pub what: String,
}

#[derive(Default)]
pub struct Applied {
    pub created: usize,
    pub unchanged: usize,
    pub sign_ins: Vec<SignIn>,
}

/// Reads a manifest and finds its mistakes, without touching anything.
pub fn read(file: &Path) -> Result<()> {
    Source::read(file).map(|_| ())
}

pub async fn apply(app: &App, file: &Path) -> Result<Applied> {
    let (source, manifest) = Source::read(file)?;
    let mut applied = Applied { sign_ins: sign_ins(&manifest), ..Applied::default() };
    if let Some(person) = &manifest.house {
        apply_house(app, person, &mut applied).await.with_context(|| format!("{}: in [house]", source.name))?;
    }
    for enterprise in &manifest.enterprises {
        let slug = enterprise.slug.get_ref();
        let tenant = provision(app, enterprise, &mut applied)
            .await
            .with_context(|| format!("{}: enterprise `{slug}`", source.at(&enterprise.slug)))?;
        let bench =
            Bench { app, source: &source, scope: TenantScope::of_system(tenant), house: HouseScope::of_command_line() };
        bench.apply(enterprise, &mut applied).await?;
    }
    Ok(applied)
}

fn sign_ins(manifest: &Manifest) -> Vec<SignIn> {
    let owners = manifest.enterprises.iter().flat_map(|enterprise| {
        enterprise.operators.iter().map(move |operator| SignIn {
            sign_in: operator.sign_in.get_ref().clone(),
            password: operator.password.clone(),
            what: format!("{} of `{}`", operator.role.as_str(), enterprise.slug.get_ref()),
        })
    });
    let branches = manifest.enterprises.iter().flat_map(|enterprise| {
        let of = enterprise.slug.get_ref();
        enterprise.branches.iter().filter_map(move |branch| {
            let owner = branch.owner.as_ref()?;
            let what = format!("OWNER of the branch `{}` of `{of}`", branch.corp_open_id.get_ref());
            Some(SignIn { sign_in: owner.sign_in.clone(), password: owner.password.clone(), what })
        })
    });
    let house = manifest.house.iter().map(|person| SignIn {
        sign_in: person.sign_in.clone(),
        password: person.password.clone(),
        what: "the house, which reviews".into(),
    });
    owners.chain(branches).chain(house).collect()
}

async fn apply_house(app: &App, person: &Person, applied: &mut Applied) -> Result<()> {
    if look_up(app, RESERVED_SLUG).await?.is_some() {
        applied.unchanged += 1;
        return Ok(());
    }
    let names = ("平台运营方".to_owned(), "The house".to_owned());
    let request = EnterpriseRequest {
        slug: RESERVED_SLUG.into(),
        name_chinese: names.0,
        name_english: names.1,
        kind: EnterpriseKind::House,
        owner_sign_in: person.sign_in.clone(),
        owner_name: person.name.clone(),
        owner_password: person.password.clone(),
    };
    enterprise::found_house(&app.platform, &HouseScope::of_command_line(), &request).await.map_err(plain)?;
    applied.created += 1;
    Ok(())
}

/// The enterprise and its operators.
async fn provision(app: &App, enterprise: &Enterprise, applied: &mut Applied) -> Result<EnterpriseId> {
    let owner = enterprise.operators.iter().find(|operator| operator.role == Role::Owner).context("it has no OWNER")?;
    let tenant = match look_up(app, enterprise.slug.get_ref()).await? {
        Some(tenant) => {
            applied.unchanged += 1;
            tenant
        }
        None => {
            let request = EnterpriseRequest {
                slug: enterprise.slug.get_ref().clone(),
                name_chinese: enterprise.name.chinese.clone(),
                name_english: enterprise.name.english.clone(),
                kind: enterprise.kind,
                owner_sign_in: owner.sign_in.get_ref().clone(),
                owner_name: owner.name.clone(),
                owner_password: owner.password.clone(),
            };
            applied.created += 1;
            let house = HouseScope::of_command_line();
            enterprise::create(&app.platform, &house, &request).await.map_err(plain)?
        }
    };
    let scope = TenantScope::of_system(tenant);
    for new in &enterprise.operators {
        let sign_in = operator::normalise_sign_in(new.sign_in.get_ref());
        let tx = scope.read(&app.platform.database).await?;
        if store::operator_by_sign_in(&tx, &sign_in).await?.is_some() {
            continue;
        }
        drop(tx);
        let about =
            [enterprise.slug.get_ref(), &enterprise.name.chinese, &enterprise.name.english, &sign_in, &new.name];
        let about = about.map(String::as_str);
        let code = EnterpriseErrorCode::InvalidInput;
        password::check("password", code, &new.password, &about).await.map_err(plain)?;
        let password_hash = password::hash(&*app.platform.randomness, &new.password).await?;
        let request = OperatorRequest { sign_in: &sign_in, name: &new.name, role: new.role, password_hash };
        let tx = scope.write(&app.platform.database).await?;
        operator::add_in(&tx, request).await.map_err(plain)?;
        tx.commit().await?;
        applied.created += 1;
    }
    Ok(tenant)
}

async fn look_up(app: &App, slug: &str) -> Result<Option<EnterpriseId>> {
    Ok(store::look_up(&HouseTx::read(&app.platform.database).await?, DirectoryKind::Slug, slug).await?)
}

/// Where one enterprise's part of a manifest is worked on.
struct Bench<'a> {
    app: &'a App,
    source: &'a Source,
    scope: TenantScope,
    house: HouseScope,
}

impl Bench<'_> {
    async fn apply(&self, enterprise: &Enterprise, applied: &mut Applied) -> Result<()> {
        for new in &enterprise.branches {
            let request = BranchRequest {
                corp_open_id: new.corp_open_id.get_ref().clone(),
                name_chinese: new.name.chinese.clone(),
                name_english: new.name.english.clone(),
                slug: new.slug.clone(),
                owner: new.owner.as_ref().map(|owner| OwnerRequest {
                    sign_in: owner.sign_in.clone(),
                    name: owner.name.clone(),
                    password: owner.password.clone(),
                }),
                expires_at: None,
            };
            let made = branch::create(&self.app.platform, &self.scope, &request).await.map_err(plain);
            match made.with_context(|| self.source.at(&new.corp_open_id))?.replayed {
                true => applied.unchanged += 1,
                false => applied.created += 1,
            }
        }
        for new in &enterprise.merchants {
            let create = || async {
                let request = MerchantRequest {
                    name: new.name.clone(),
                    channel: PaymentChannel::Sandbox,
                    merchant_number: new.number.clone(),
                };
                Ok(merchant::create(&self.app.platform, &self.scope, &request).await.map_err(plain)?.id.uuid())
            };
            let id = self.once(applied, "merchant", &new.key, new, create).await?;
            self.verify_merchant(MerchantId::from_uuid(id)).await.with_context(|| self.source.at(&new.key))?;
        }
        for new in &enterprise.domains {
            let create = || async {
                let request =
                    DomainRequest { host: new.host.get_ref().clone(), filing_number: new.filing_number.clone() };
                Ok(domain::create(&self.app.platform, &self.scope, &request).await.map_err(plain)?.id.uuid())
            };
            self.once(applied, "domain", &new.host, new, create).await?;
        }
        self.apply_catalogue(enterprise, applied).await?;
        self.apply_activities(enterprise, applied).await
    }

    async fn apply_catalogue(&self, enterprise: &Enterprise, applied: &mut Applied) -> Result<()> {
        for new in &enterprise.series {
            let create = || async {
                let design = SeriesDesign {
                    name_chinese: new.name.chinese.clone(),
                    name_english: new.name.english.clone(),
                    description_chinese: new.description.chinese.clone(),
                    description_english: new.description.english.clone(),
                    cover_id: self.medium(new.cover.as_ref()).await?,
                };
                Ok(series::create(&self.app.platform, &self.scope, &design).await.map_err(plain)?.id.uuid())
            };
            let series = SeriesId::from_uuid(self.once(applied, "series", &new.key, new, create).await?);
            for design in &new.collectibles {
                let create = || async {
                    let attribute = |new: model::Attribute| Attribute { name: new.name, value: new.value };
                    let request = Design {
                        series_id: series,
                        name_chinese: design.name.chinese.clone(),
                        name_english: design.name.english.clone(),
                        description_chinese: design.description.chinese.clone(),
                        description_english: design.description.english.clone(),
                        author: design.author.clone(),
                        image_url: design.image_url.clone(),
                        cover_id: self.medium(design.cover.as_ref()).await?,
                        media_id: self.medium(design.media.as_ref()).await?,
                        copyright_proof_id: None,
                        filing_number: design.filing_number.clone(),
                        flag: String::new(),
                        metadata: String::new(),
                        attributes: Attributes(design.attributes.iter().cloned().map(attribute).collect()),
                        supply: design.supply,
                        first_serial: design.first_serial,
                    };
                    Ok(collectible::create(&self.app.platform, &self.scope, &request).await.map_err(plain)?.id.uuid())
                };
                let id = self.once(applied, "collectible", &design.key, design, create).await?;
                self.issue(CollectibleId::from_uuid(id)).await.with_context(|| self.source.at(&design.key))?;
            }
        }
        Ok(())
    }

    async fn apply_activities(&self, enterprise: &Enterprise, applied: &mut Applied) -> Result<()> {
        for new in &enterprise.draws {
            let create = || async {
                let window = (self.source.instant(&new.opens_at)?, self.source.instant(&new.closes_at)?);
                let request = ActivityRequest {
                    chances_per_holder: Some(new.chances_per_holder),
                    claim_days: Some(new.claim_days),
                    prizes: self.prizes(&new.prizes, true).await?,
                    ..activity(ActivityKind::Draw, &new.name, &new.rules, window)
                };
                Ok(activities::create::create(&self.app.platform, &self.scope, &request)
                    .await
                    .map_err(plain)?
                    .id
                    .uuid())
            };
            let id = self.once(applied, "activity", &new.key, new, create).await?;
            self.go_live(ActivityId::from_uuid(id), &new.key).await?;
        }
        for new in &enterprise.airdrops {
            let create = || async {
                let window = (self.source.instant(&new.opens_at)?, self.source.instant(&new.closes_at)?);
                let request = ActivityRequest {
                    claim_days: Some(new.claim_days),
                    prizes: self.prizes(&new.prizes, false).await?,
                    ..activity(ActivityKind::Airdrop, &new.name, &new.rules, window)
                };
                Ok(activities::create::create(&self.app.platform, &self.scope, &request)
                    .await
                    .map_err(plain)?
                    .id
                    .uuid())
            };
            let id = self.once(applied, "activity", &new.key, new, create).await?;
            self.go_live(ActivityId::from_uuid(id), &new.key).await?;
        }
        for new in &enterprise.sales {
            let create = || async {
                let window = (self.source.instant(&new.opens_at)?, self.source.instant(&new.closes_at)?);
                let request = activity(ActivityKind::Sale, &new.name, &new.rules, window);
                let id = activities::create::create(&self.app.platform, &self.scope, &request).await.map_err(plain)?.id;
                for offer in &new.offers {
                    let request = OfferRequest {
                        activity: id,
                        collectible: CollectibleId::from_uuid(self.made("collectible", &offer.collectible).await?),
                        merchant: MerchantId::from_uuid(self.made("merchant", &offer.merchant).await?),
                        price_minor: offer.price_minor,
                        quantity: offer.quantity,
                        limit_per_holder: offer.limit_per_holder,
                    };
                    let created = offers::create(&self.app.platform, &self.scope, &request).await;
                    created.map_err(plain).with_context(|| self.source.at(&offer.collectible))?;
                }
                Ok(id.uuid())
            };
            let id = self.once(applied, "activity", &new.key, new, create).await?;
            self.go_live(ActivityId::from_uuid(id), &new.key).await?;
        }
        Ok(())
    }

    async fn prizes(&self, prizes: &[Prize], odds: bool) -> Result<Vec<PrizeRequest>> {
        let mut requests = Vec::with_capacity(prizes.len());
        for prize in prizes {
            let collectible = CollectibleId::from_uuid(self.made("collectible", &prize.collectible).await?);
            requests.push(PrizeRequest {
                award: AwardRequest::default(),
                lots: vec![LotRequest { collectible: Some(collectible), quantity: prize.quantity }],
                level: prize.level,
                name: (prize.name.chinese.clone(), prize.name.english.clone()),
                odds_per_million: odds.then_some(prize.odds_per_million),
                wins_per_holder: None,
                wins_per_day: None,
                paced: false,
                fallback: false,
            });
        }
        Ok(requests)
    }

    /// A file becomes a medium that has passed. One that the enterprise has already is that one.
    async fn medium(&self, file: Option<&Spanned<String>>) -> Result<Option<MediaId>> {
        let Some(named) = file else { return Ok(None) };
        let path = self.source.file(named);
        let step = async {
            let bytes = tokio::fs::read(&path).await?;
            let kind = media::sniff(&bytes).context("it is no picture, film or model that can be shown")?;
            let request = UploadRequest {
                file_name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                content_type: kind.as_str().to_owned(),
                size: i64::try_from(bytes.len())?,
                sha256: None,
            };
            let (platform, services) = (&self.app.platform, &self.app.media);
            let id = upload::take(platform, services, &self.scope, &request, bytes.into()).await.map_err(plain)?.id;
            loop {
                let tx = self.scope.read(&platform.database).await?;
                let found = MediaId::fetch(&tx, &[id]).await?.remove(&id).context("the medium is gone")?;
                drop(tx);
                match found.moderation {
                    Moderation::Pending => self.app.work_for(self.scope.tenant()).await?,
                    Moderation::Review => self.approve(id.uuid()).await?,
                    Moderation::Pass => return Ok(Some(id)),
                    Moderation::Block => bail!("it is blocked: {}", found.moderation_remark.unwrap_or_default()),
                }
            }
        };
        let answer: Result<Option<MediaId>> = step.await;
        answer.with_context(|| format!("{}: {}", self.source.at(named), path.display()))
    }

    async fn verify_merchant(&self, id: MerchantId) -> Result<()> {
        let tx = self.scope.read(&self.app.platform.database).await?;
        let found = MerchantId::fetch(&tx, &[id]).await?.remove(&id).context("the merchant is gone")?;
        drop(tx);
        if found.state == BindingState::Pending {
            merchant::verify(&self.app.platform, &self.app.sales, &self.scope, id).await.map_err(plain)?;
        }
        Ok(())
    }

    /// From wherever it stands to ISSUED.
    async fn issue(&self, id: CollectibleId) -> Result<()> {
        let mut waits = false;
        loop {
            let tx = self.scope.read(&self.app.platform.database).await?;
            let found = CollectibleId::fetch(&tx, &[id]).await?.remove(&id).context("the collectible is gone")?;
            drop(tx);
            match found.state {
                CollectibleState::Rejected => {
                    bail!(
                        "the house has rejected it: {}; decide it through the API",
                        found.review_remark.unwrap_or_default()
                    )
                }
                CollectibleState::Draft => {
                    collectible::submit(&self.app.platform, &self.scope, id).await.map_err(plain)?;
                }
                CollectibleState::InReview => self.approve(id.uuid()).await?,
                CollectibleState::Failed => {
                    let tx = self.scope.read(&self.app.platform.database).await?;
                    let failed = issuances::issuances_by_collectible(&tx, &[id]).await?.remove(&id);
                    let reason = failed.and_then(|issuance| issuance.failure).unwrap_or_default();
                    bail!("the ledger has refused it: {reason}; put that right and call `collectibleIssue`")
                }
                CollectibleState::Approved => {
                    let key = format!("manifest/{id}").parse()?;
                    issue::start(&self.app.platform, &self.scope, self.app.ledgers.chosen(), id, &key)
                        .await
                        .map_err(plain)?;
                }
                CollectibleState::Submitted | CollectibleState::Confirming | CollectibleState::Unknown => {
                    if !std::mem::replace(&mut waits, true) {
                        tracing::info!(collectible = %id, "the manifest goes on once the ledger has confirmed this");
                    }
                    self.app.work_for(self.scope.tenant()).await?;
                    tokio::time::sleep(BREATH).await;
                }
                CollectibleState::Issued => return Ok(()),
            }
        }
    }

    /// From wherever it stands to PUBLISHED; what somebody has paused or ended since is left alone.
    async fn go_live(&self, id: ActivityId, key: &Spanned<String>) -> Result<()> {
        let step = async {
            loop {
                let tx = self.scope.read(&self.app.platform.database).await?;
                let found = ActivityId::fetch(&tx, &[id]).await?.remove(&id).context("the activity is gone")?;
                drop(tx);
                match found.state {
                    ActivityState::Rejected => {
                        bail!(
                            "the house has rejected it: {}; decide it through the API",
                            found.review_remark.unwrap_or_default()
                        )
                    }
                    ActivityState::Draft => {
                        submit::submit(&self.app.platform, &self.scope, id).await.map_err(plain)?;
                    }
                    ActivityState::InReview => self.approve(id.uuid()).await?,
                    ActivityState::Approved => {
                        let key = format!("manifest/{id}").parse()?;
                        publish::publish(&self.app.platform, &self.scope, id, &key).await.map_err(plain)?;
                    }
                    _ => return Ok(()),
                }
            }
        };
        let answer: Result<()> = step.await;
        answer.with_context(|| format!("{}: `{}` cannot go live", self.source.at(key), key.get_ref()))
    }

    /// The manifest stands for the house's word: who may apply one runs the house.
    async fn approve(&self, subject: Uuid) -> Result<()> {
        let tx = self.scope.read(&self.app.platform.database).await?;
        let open = crate::tenancy::review::open_of(&tx, subject).await?.context("its review is not open")?;
        drop(tx);
        let decision = Decision { approved: true, remark: None };
        review::decide(&self.app.platform, &self.house, open, &decision).await.map_err(plain)?;
        Ok(())
    }

    /// Makes something, or finds what an earlier application has made under the same key.
    async fn once<T, F>(
        &self,
        applied: &mut Applied,
        kind: &str,
        key: &Spanned<String>,
        said: &T,
        create: impl FnOnce() -> F,
    ) -> Result<Uuid>
    where
        T: Serialize,
        F: Future<Output = Result<Uuid>>,
    {
        let digest = sha256(&serde_json::to_vec(said)?).to_vec();
        let name = format!("{kind}/{}", key.get_ref());
        let tx = self.scope.read(&self.app.platform.database).await?;
        let entry = store::manifest_entry(&tx, &name).await?;
        drop(tx);
        match entry {
            Some((id, noted)) if noted == digest => {
                applied.unchanged += 1;
                Ok(id)
            }
            Some(_) => bail!(
                "{}: the {kind} `{}` was applied with other words before; change it through the API, or describe a new one under a new key",
                self.source.at(key),
                key.get_ref()
            ),
            None => {
                let id =
                    create().await.with_context(|| format!("{}: {kind} `{}`", self.source.at(key), key.get_ref()))?;
                let tx = self.scope.write(&self.app.platform.database).await?;
                store::insert_manifest_entry_in(&tx, &name, id, digest).await?;
                tx.commit().await?;
                applied.created += 1;
                Ok(id)
            }
        }
    }

    /// What the manifest has made under a key.
    async fn made(&self, kind: &str, key: &Spanned<String>) -> Result<Uuid> {
        let tx = self.scope.read(&self.app.platform.database).await?;
        let entry = store::manifest_entry(&tx, &format!("{kind}/{}", key.get_ref())).await?;
        entry
            .map(|(id, _)| id)
            .with_context(|| format!("{}: `{}` has not been made", self.source.at(key), key.get_ref()))
    }
}

fn activity(
    kind: ActivityKind,
    name: &Text,
    rules: &Text,
    window: (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>),
) -> ActivityRequest {
    ActivityRequest {
        kind,
        name: (name.chinese.clone(), name.english.clone()),
        rules: (rules.chinese.clone(), rules.english.clone()),
        opens_at: window.0,
        closes_at: window.1,
        chances_per_holder: None,
        daily_chances: None,
        participation: Rule::default(),
        tasks: Vec::new(),
        custom_rules: Vec::new(),
        limits: Limits::default(),
        claim_days: None,
        exhaustion: Exhaustion::ToNoPrize,
        prizes: Vec::new(),
        personal_plans: Vec::new(),
    }
}

/// A refusal in the words that a client would read.
fn plain<C: Code>(refusal: Refusal<C>) -> anyhow::Error {
    match refusal {
        Refusal::Fault(fault) => fault.into(),
        Refusal::Problems(problems) => {
            let words: Vec<String> = problems
                .into_iter()
                .map(|problem| {
                    let text = problem.detail.unwrap_or_else(|| problem.code.text()).english;
                    problem.field.map_or(text.to_owned(), |field| format!("{field}: {text}"))
                })
                .collect();
            anyhow!(words.join(" "))
        }
    }
}
