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
use crate::tenancy::loaders::Loaders;
use crate::tenancy::reader::{ReadScope, Reader};
use crate::tenancy::scope::{Caller, HolderScope, HouseScope, TenantScope};
use crate::tenancy::token::{Identity, Tokens};

pub struct TokenGate {
    pub platform: Arc<Platform>,
    pub tokens: Arc<Tokens>,
    /// In development everybody may introspect; in production operators and the house.
    pub development: bool,
}

struct TokenVisitor {
    platform: Arc<Platform>,
    caller: Caller,
    language: Language,
    request_id: Arc<str>,
    introspect: bool,
    bucket: String,
    expires_at: Option<SystemTime>,
}

#[async_trait]
impl Gate for TokenGate {
    async fn admit(&self, knock: Knock) -> Result<Arc<dyn Visitor>, Fault> {
        let request_id: Arc<str> = Arc::from(knock.request_id);
        let (caller, bucket, expires_at) = match &knock.bearer {
            None => {
                // Strangers share one budget an address, so that one of them cannot use up everybody's.
                let peer = knock.peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
                (Caller::Anonymous, format!("anonymous/{peer}"), None)
            }
            Some(token) => {
                let claims = self.tokens.verify(token)?;
                let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(claims.exp.unsigned_abs());
                let bucket = format!("{}/{}", claims.tenant, claims.sub);
                let caller = match claims.identity {
                    Identity::Operator { operator, role } => {
                        Caller::Operator(TenantScope::of_operator(claims.tenant, operator, role, request_id.clone()))
                    }
                    Identity::Holder { holder } => {
                        Caller::Holder(HolderScope::new(claims.tenant, holder, request_id.clone()))
                    }
                    Identity::House { operator, role } => {
                        Caller::House(HouseScope::new(operator, role, request_id.clone()))
                    }
                };
                (caller, bucket, Some(expires_at))
            }
        };
        let introspect = self.development || matches!(caller, Caller::Operator(_) | Caller::House(_));
        Ok(Arc::new(TokenVisitor {
            platform: self.platform.clone(),
            caller,
            language: knock.language,
            request_id,
            introspect,
            bucket,
            expires_at,
        }))
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
        matches!(self.caller, Caller::Operator(_) | Caller::House(_))
    }

    fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}
