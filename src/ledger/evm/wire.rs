//! A transaction as it is sent: encoded, signed, hashed. The same input gives the same bytes.

use alloy::consensus::{SignableTransaction, Signed, TxEip1559, TxEnvelope, TxLegacy};
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{B256, Signature, TxKind, U256};
use alloy::signers::SignerSync;

use crate::ledger::evm::fee::Fee;
use crate::ledger::evm::settings::Settings;
use crate::platform::config::FeeStyle;
use crate::platform::fault::Fault;

pub struct Wire {
    pub hash: B256,
    pub bytes: Vec<u8>,
}

pub struct Unsigned {
    pub to: TxKind,
    pub nonce: u64,
    pub gas_limit: u64,
    pub input: Vec<u8>,
}

impl Unsigned {
    pub fn sign(self, settings: &Settings, fee: Fee) -> Result<Wire, Fault> {
        let Self { to, nonce, gas_limit, input } = self;
        let (chain_id, input) = (settings.chain_id, input.into());
        let envelope: TxEnvelope = match settings.fees {
            FeeStyle::Eip1559 => signed(
                settings,
                TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee.max,
                    max_priority_fee_per_gas: fee.tip,
                    to,
                    value: U256::ZERO,
                    access_list: Vec::new().into(),
                    input,
                },
            )?
            .into(),
            FeeStyle::Legacy => signed(
                settings,
                TxLegacy {
                    chain_id: Some(chain_id),
                    nonce,
                    gas_price: fee.max,
                    gas_limit,
                    to,
                    value: U256::ZERO,
                    input,
                },
            )?
            .into(),
        };
        Ok(Wire { hash: *envelope.tx_hash(), bytes: envelope.encoded_2718() })
    }
}

fn signed<T: SignableTransaction<Signature>>(settings: &Settings, transaction: T) -> Result<Signed<T>, Fault> {
    let signature = settings.signer.sign_hash_sync(&transaction.signature_hash()).map_err(Fault::internal)?;
    Ok(transaction.into_signed(signature))
}
