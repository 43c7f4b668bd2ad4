//! Short messages to holders' phones.
//!
//! One message exists: a code. It is sent after the code has been committed and outside of every transaction, because
//! a provider may take seconds. Another provider is another [`SmsSender`], chosen in `commands` by the configuration.

use std::fmt;

use async_trait::async_trait;

use crate::bridges::tencent::CallError;
use crate::bridges::tencent::sms::{PhoneNumber, Sms};
use crate::wallets::holder::Phone;
use crate::wallets::verification::MINUTES;

/// Six digits. It shows itself only when asked by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    pub fn new(number: u32) -> Self {
        Self(format!("{number:06}"))
    }

    /// What somebody typed, whatever it is.
    pub fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Code(…)")
    }
}

/// Why a message did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmsError {
    #[error("the message was not taken on")]
    NotSent,
    /// The provider may have taken it on all the same.
    #[error("nobody knows whether the message was taken on")]
    Unknown,
}

#[async_trait]
pub trait SmsSender: Send + Sync + 'static {
    async fn send_code(&self, phone: &Phone, code: &Code) -> Result<(), SmsError>;
}

/// Writes codes into the log instead of sending them. For development: whoever reads the log can sign in as anybody.
pub struct LogSender;

#[async_trait]
impl SmsSender for LogSender {
    async fn send_code(&self, phone: &Phone, code: &Code) -> Result<(), SmsError> {
        tracing::info!(phone = phone.masked(), code = code.expose(), "a code, instead of a message");
        Ok(())
    }
}

/// For a house without a provider: says so each time.
pub struct NoSender;

#[async_trait]
impl SmsSender for NoSender {
    async fn send_code(&self, _: &Phone, _: &Code) -> Result<(), SmsError> {
        tracing::error!("a code was asked for and no message can be sent; set `sms` in the configuration");
        Err(SmsError::NotSent)
    }
}

/// Sends an approved template through Tencent Cloud: `{1}` is the code, `{2}` the minutes that it is good for.
pub struct TencentSender {
    pub sms: Sms,
    pub template: String,
}

#[async_trait]
impl SmsSender for TencentSender {
    async fn send_code(&self, phone: &Phone, code: &Code) -> Result<(), SmsError> {
        let to = PhoneNumber::parse(&phone.international()).ok_or(SmsError::NotSent)?;
        let minutes = MINUTES.to_string();
        match self.sms.send(&to, &self.template, &[code.expose(), &minutes]).await {
            Ok(_) => Ok(()),
            Err(CallError::Refused { .. }) => Err(SmsError::NotSent),
            Err(CallError::Unreachable | CallError::Nonsense) => Err(SmsError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_six_digits_and_does_not_show_itself() {
        assert_eq!(Code::new(7).expose(), "000007");
        assert_eq!(Code::new(999_999).expose(), "999999");
        assert!(!format!("{:?}", Code::new(123_456)).contains("123"));
    }
}
