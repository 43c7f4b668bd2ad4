//! Who says whether a name and an identity number belong together.
//!
//! Another register is another [`RealNameProvider`], chosen in `commands` by the configuration. It is asked outside of
//! every transaction, and what it was asked never reaches a log.

use async_trait::async_trait;

use crate::bridges::id_number::IdNumber;
use crate::bridges::tencent::id_card::{IdCardVerification, Verdict};

/// No answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the register of identities does not answer")]
pub struct Unavailable;

#[async_trait]
pub trait RealNameProvider: Send + Sync + 'static {
    /// What stands beside its verdicts.
    fn name(&self) -> &'static str;

    /// Whether the name is that of the number's holder.
    async fn belong_together(&self, name: &str, number: &IdNumber) -> Result<bool, Unavailable>;
}

/// Takes every well-formed number for that of whoever names it. For development: it proves nothing.
pub struct ChecksumOnly;

#[async_trait]
impl RealNameProvider for ChecksumOnly {
    fn name(&self) -> &'static str {
        "CHECKSUM"
    }

    async fn belong_together(&self, _: &str, _: &IdNumber) -> Result<bool, Unavailable> {
        Ok(true)
    }
}

/// For a house without a provider: nobody can be verified.
pub struct NoRegister;

#[async_trait]
impl RealNameProvider for NoRegister {
    fn name(&self) -> &'static str {
        "NONE"
    }

    async fn belong_together(&self, _: &str, _: &IdNumber) -> Result<bool, Unavailable> {
        tracing::error!("somebody asked to be verified and nobody can say; set `real_name` in the configuration");
        Err(Unavailable)
    }
}

#[async_trait]
impl RealNameProvider for IdCardVerification {
    fn name(&self) -> &'static str {
        "TENCENT"
    }

    async fn belong_together(&self, name: &str, number: &IdNumber) -> Result<bool, Unavailable> {
        match self.verify(name, number).await {
            Ok(Verdict::Match) => Ok(true),
            // Whom the register does not hold is no more proved than somebody else's name is.
            Ok(Verdict::Mismatch | Verdict::IllegalNumber | Verdict::IllegalName | Verdict::NoRecord) => Ok(false),
            Err(_) => Err(Unavailable),
        }
    }
}
