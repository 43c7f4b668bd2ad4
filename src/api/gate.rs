//! Who may come in: a token becomes a caller, a caller gets what resolvers need.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_graphql::Request;
use async_graphql::parser::types::OperationType;
use async_trait::async_trait;

use crate::api::context::RequestContext;
use crate::api::transport::{Gate, Knock, Prepared, Visitor};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::language::Language;
use crate::tenancy::hosts::Hosts;
use crate::tenancy::loaders::Loaders;
use crate::tenancy::model::{EnterpriseId, EnterpriseState};
use crate::tenancy::reader::{ReadScope, Reader};
use crate::tenancy::scope::{Caller, HolderScope, HouseScope, PersonScope, TenantScope};
use crate::tenancy::session::Visit;
use crate::tenancy::standing::Standings;
use crate::tenancy::throttle;
use crate::tenancy::token::{Claims, Identity, Tokens};

pub struct TokenGate {
    pub platform: Arc<Platform>,
    pub tokens: Arc<Tokens>,
    pub standings: Arc<Standings>,
    pub hosts: Arc<Hosts>,
    /// In development everybody may introspect; in production operators and the house.
    pub development: bool,
}

struct TokenVisitor {
    platform: Arc<Platform>,
    caller: Caller,
    language: Language,
    request_id: Arc<str>,
    visit: Visit,
    site: Option<EnterpriseId>,
    introspect: bool,
    bucket: String,
    expires_at: Option<SystemTime>,
}

/// Who has come in, and from where.
pub struct Admitted {
    pub caller: Caller,
    pub visit: Visit,
    /// The enterprise whose bound host was asked.
    pub site: Option<EnterpriseId>,
    bucket: String,
    expires_at: Option<SystemTime>,
}

impl TokenGate {
    /// The same for every route, GraphQL's and the others'.
    pub async fn identify(&self, knock: Knock) -> Result<Admitted, Fault> {
        let site = self.hosts.site(knock.host.as_deref()).await?;
        let visit = Visit {
            address: knock.peer,
            agent: knock.agent,
            origin: knock.origin,
            host: knock.host,
            request_id: Arc::from(knock.request_id.as_str()),
        };
        let Some(token) = &knock.bearer else {
            // Strangers share one budget a place, so that one of them cannot use up everybody's.
            let bucket = format!("anonymous/{}", throttle::place(visit.address));
            return Ok(Admitted { caller: Caller::Anonymous, visit, site, bucket, expires_at: None });
        };
        let mut claims = self.tokens.verify(token)?;
        if let Some(site) = site {
            let own = claims.tenant == site && !matches!(claims.identity, Identity::House { .. });
            if !own {
                return Err(Fault::unauthenticated(
                    "该域名属于一家企业，而令牌不属于该企业",
                    "this host belongs to an enterprise, and the token is not for that enterprise",
                ));
            }
        }
        let admission = self.standings.check(&claims, visit.address).await?;
        if let Some(present) = admission.scopes {
            claims.identity.narrow_to(present);
        }
        let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(claims.exp.unsigned_abs());
        let bucket = format!("{}/{}", claims.tenant, claims.sub);
        let caller = caller(&claims, admission.state, Arc::from(knock.request_id));
        Ok(Admitted { caller, visit, site, bucket, expires_at: Some(expires_at) })
    }
}

#[async_trait]
impl Gate for TokenGate {
    async fn admit(&self, knock: Knock) -> Result<Arc<dyn Visitor>, Fault> {
        let (language, request_id) = (knock.language, Arc::from(knock.request_id.as_str()));
        let Admitted { caller, visit, site, bucket, expires_at } = self.identify(knock).await?;
        let introspect = self.development || matches!(caller, Caller::Enterprise(_) | Caller::House(_));
        Ok(Arc::new(TokenVisitor {
            platform: self.platform.clone(),
            caller,
            language,
            request_id,
            visit,
            site,
            introspect,
            bucket,
            expires_at,
        }))
    }
}

/// The caller that valid claims make, in the state that their enterprise is in.
fn caller(claims: &Claims, state: EnterpriseState, request_id: Arc<str>) -> Caller {
    let (tenant, session) = (claims.tenant, claims.sid);
    let enterprise = |scope: TenantScope| Caller::Enterprise(scope.in_state(state).under(session));
    match claims.identity {
        Identity::Operator { operator, role } => {
            enterprise(TenantScope::of_operator(tenant, operator, role, request_id))
        }
        Identity::Client { client, secret, scope } => {
            enterprise(TenantScope::of_client(tenant, client, scope, request_id).showing(secret))
        }
        Identity::Partner { actor, scope, .. } => {
            enterprise(TenantScope::of_partner(tenant, actor.uuid(), scope, request_id))
        }
        Identity::PartnerClient { client, scope, .. } => {
            enterprise(TenantScope::of_partner(tenant, client.uuid(), scope, request_id))
        }
        Identity::Holder { holder } => {
            Caller::Holder(HolderScope::new(tenant, holder, request_id).in_state(state).under(session))
        }
        Identity::House { operator, role } => {
            Caller::House(HouseScope::new(tenant, operator, role, request_id).under(session))
        }
        Identity::Person { person } => Caller::Person(PersonScope::new(person, request_id)),
    }
}

impl Visitor for TokenVisitor {
    fn prepare(&self, request: Request, kind: OperationType) -> Prepared {
        let scope = ReadScope::of(&self.caller);
        let (reader, loaders, errands) = match kind {
            OperationType::Query | OperationType::Mutation => {
                let reader = Reader::of_request(self.platform.clone(), scope);
                let (loaders, errands) = Loaders::with_errands(reader.clone());
                (reader, loaders, Some(errands))
            }
            OperationType::Subscription => {
                let reader = Reader::of_subscription(self.platform.clone(), scope);
                (reader.clone(), Loaders::new(reader), None)
            }
        };
        let request = request.data(RequestContext {
            caller: self.caller.clone(),
            language: self.language,
            request_id: self.request_id.clone(),
            visit: self.visit.clone(),
            site: self.site,
            loaders,
            reader,
        });
        Prepared { errands, ..Prepared::new(request) }
    }

    fn language(&self) -> Language {
        self.language
    }

    fn may_introspect(&self) -> bool {
        self.introspect
    }

    fn bucket(&self) -> String {
        self.bucket.clone()
    }

    fn speaks_for_many(&self) -> bool {
        matches!(self.caller, Caller::Enterprise(_) | Caller::House(_))
    }

    fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}
