//! A node of an EVM chain, asked by JSON-RPC (<https://ethereum.github.io/execution-apis/>).
//!
//! Only what the ledger needs is asked, and of an answer only what it needs is read: nodes of consortium chains speak the
//! same methods and leave fields out. Whatever is encoded, hashed or signed is alloy's.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use reqwest::{Client, Method, Request, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bridges::exchange::{Exchange, Lost};

const TIME: Duration = Duration::from_secs(10);
/// A receipt lists every piece that its transaction has issued, some 130 kilobytes for a thousand.
const MAXIMUM_BYTES: usize = 64 * 1024 * 1024;

/// Why a node gave no answer to work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It cannot be reached, or not in time. What was sent may have arrived.
    #[error("the node cannot be reached")]
    Unreachable,
    #[error("the node's answer is none of JSON-RPC's")]
    Nonsense,
    /// Its own word on why not.
    #[error("the node refuses ({code}): {message}")]
    Refused { code: i64, message: String },
}

/// The newest block.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub number: u64,
    /// Absent on chains without EIP-1559.
    pub base_fee: Option<u128>,
    /// Of the whole block; absent where the node does not tell.
    pub gas_limit: Option<u64>,
}

/// What became of a transaction in a block.
#[derive(Clone, Debug)]
pub struct TransactionReceipt {
    pub transaction_hash: B256,
    pub block_hash: B256,
    pub block_number: u64,
    pub succeeded: bool,
    pub gas_used: u64,
    /// Of a transaction that made one.
    pub contract: Option<Address>,
    pub logs: Vec<Log>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    pub address: Address,
    pub topics: Vec<B256>,
    pub data: Bytes,
    pub transaction_hash: B256,
    /// Among all of the block.
    pub log_index: U64,
}

/// As of when a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Latest,
    Block(u64),
}

impl At {
    fn parameter(self) -> Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Block(number) => json!(U64::from(number)),
        }
    }
}

#[derive(Serialize)]
struct Question<'a> {
    jsonrpc: &'static str,
    id: u32,
    method: &'a str,
    params: Value,
}

#[derive(Deserialize)]
struct Answer<T> {
    /// `null` is an answer too: nothing was found.
    result: Option<T>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockWire {
    number: U64,
    hash: B256,
    base_fee_per_gas: Option<U256>,
    gas_limit: Option<U256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptWire {
    transaction_hash: B256,
    block_hash: Option<B256>,
    block_number: Option<U64>,
    status: U64,
    gas_used: U64,
    contract_address: Option<Address>,
    #[serde(default)]
    logs: Vec<Log>,
}

pub struct Node {
    exchange: Exchange,
    endpoint: Url,
}

impl Node {
    pub fn new(http: Client, endpoint: Url) -> Self {
        Self { exchange: Exchange::new(http).allowing(TIME, MAXIMUM_BYTES), endpoint }
    }

    pub async fn chain_id(&self) -> Result<u64, Trouble> {
        Ok(self.ask::<U64>("eth_chainId", json!([])).await?.to())
    }

    pub async fn head(&self) -> Result<Head, Trouble> {
        let block: BlockWire = self.ask("eth_getBlockByNumber", json!(["latest", false])).await?;
        // Private chains write down no bound as the largest number there is, and some as zero.
        let gas_limit = block.gas_limit.map(|limit| limit.saturating_to()).filter(|limit| *limit > 0);
        Ok(Head { number: block.number.to(), base_fee: block.base_fee_per_gas.map(saturating), gas_limit })
    }

    /// The hash of the block at this height, if there is one by now.
    pub async fn block_hash(&self, number: u64) -> Result<Option<B256>, Trouble> {
        let block: Option<BlockWire> = self.find("eth_getBlockByNumber", json!([U64::from(number), false])).await?;
        Ok(block.map(|block| block.hash))
    }

    /// How many transactions of an account stand in blocks: the nonce of its next one.
    pub async fn transaction_count(&self, account: Address) -> Result<u64, Trouble> {
        Ok(self.ask::<U64>("eth_getTransactionCount", json!([account, "latest"])).await?.to())
    }

    pub async fn balance(&self, account: Address) -> Result<U256, Trouble> {
        self.ask("eth_getBalance", json!([account, "latest"])).await
    }

    pub async fn code(&self, contract: Address) -> Result<Bytes, Trouble> {
        self.ask("eth_getCode", json!([contract, "latest"])).await
    }

    pub async fn call(&self, contract: Address, input: Vec<u8>, at: At) -> Result<Bytes, Trouble> {
        // Named `data` and not `input`, which older nodes do not know.
        let data = Bytes::from(input);
        self.ask("eth_call", json!([{ "to": contract, "data": data }, at.parameter()])).await
    }

    /// In wei, as legacy transactions pay it.
    pub async fn gas_price(&self) -> Result<u128, Trouble> {
        Ok(saturating(self.ask("eth_gasPrice", json!([])).await?))
    }

    /// In wei, what is paid beside the base fee at present.
    pub async fn priority_fee(&self) -> Result<u128, Trouble> {
        Ok(saturating(self.ask("eth_maxPriorityFeePerGas", json!([])).await?))
    }

    pub async fn send_raw(&self, transaction: &[u8]) -> Result<B256, Trouble> {
        self.ask("eth_sendRawTransaction", json!([Bytes::copy_from_slice(transaction)])).await
    }

    /// `None` where the transaction stands in no block.
    pub async fn receipt(&self, transaction: B256) -> Result<Option<TransactionReceipt>, Trouble> {
        let found: Option<ReceiptWire> = self.find("eth_getTransactionReceipt", json!([transaction])).await?;
        Ok(found.and_then(|receipt| {
            Some(TransactionReceipt {
                transaction_hash: receipt.transaction_hash,
                block_hash: receipt.block_hash?,
                block_number: receipt.block_number?.to(),
                succeeded: receipt.status == U64::ONE,
                gas_used: receipt.gas_used.to(),
                contract: receipt.contract_address,
                logs: receipt.logs,
            })
        }))
    }

    /// What a contract has said in one block about one thing: the first topic is what, the second about which.
    pub async fn logs(&self, contract: Address, block: u64, what: &[B256], about: B256) -> Result<Vec<Log>, Trouble> {
        let block = U64::from(block);
        let filter = json!({ "address": contract, "fromBlock": block, "toBlock": block, "topics": [what, about] });
        self.ask("eth_getLogs", json!([filter])).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: &str, parameters: Value) -> Result<T, Trouble> {
        self.find(method, parameters).await?.ok_or(Trouble::Nonsense)
    }

    async fn find<T: DeserializeOwned>(&self, method: &str, parameters: Value) -> Result<Option<T>, Trouble> {
        let question = Question { jsonrpc: "2.0", id: 1, method, params: parameters };
        let mut request = Request::new(Method::POST, self.endpoint.clone());
        request.headers_mut().insert("content-type", reqwest::header::HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(serde_json::to_vec(&question).map_err(|_| Trouble::Nonsense)?.into());
        let answer: Answer<T> = self.exchange.ask(request).await.map_err(|lost| match lost {
            Lost::Unreachable => Trouble::Unreachable,
            Lost::Nonsense => Trouble::Nonsense,
        })?;
        match answer.error {
            Some(Refusal { code, message }) => Err(Trouble::Refused { code, message }),
            None => Ok(answer.result),
        }
    }
}

/// No fee that is ever paid comes near it.
fn saturating(wei: U256) -> u128 {
    wei.try_into().unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Result<Option<ReceiptWire>, serde_json::Error> {
        serde_json::from_str::<Answer<ReceiptWire>>(answer).map(|answer| answer.result)
    }

    #[test]
    fn an_answer_of_null_is_nothing_found_and_unknown_fields_are_passed_over() {
        assert!(read(r#"{"jsonrpc":"2.0","id":1,"result":null}"#).unwrap().is_none());
        let zeros = "0".repeat(64);
        let receipt = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"transactionHash":"0x{zeros}","blockHash":null,"status":"0x1","gasUsed":"0x5208","strange":[1]}}}}"#
        );
        let receipt = read(&receipt).unwrap().expect("it is there");
        assert_eq!((receipt.gas_used.to::<u64>(), receipt.block_number, receipt.logs.len()), (21000, None, 0));
    }
}
