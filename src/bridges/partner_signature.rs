//! How partners of points malls and interactive platforms sign the parameters of a request: three profiles.
//!
//! | profile | what is hashed | hash | parameter |
//! |---|---|---|---|
//! | Duiba (兑吧) | the values alone, of all parameters and `appSecret`, in the order of their names | MD5, lower case | `sign` |
//! | RRX (人人秀) | `name=value` of what is not empty, in the order of names, joined by `&`, then `&app_secret=…` | MD5, upper case | `sign` |
//! | Eqxiu (易企秀) REST | the values of all parameters and the key, in the order of their bytes | SHA-256, lower case | `signature` |
//!
//! Sources: Duiba's published integration guide and its SignTool; RRX's published rule and its sample; for Eqxiu's REST
//! interface a public SDK in PHP, without an independent check.
//!
//! These are the partners' choices and weak ones. MD5 stands here because they sign with it. No text shows for certain
//! where a value ends: for Duiba and Eqxiu `uid=12, x=3` and `uid=1, x=23` have one signature, for RRX `a=1, b=2` and
//! `a=1&b=2` in one value. So a good signature does not replace the checks of each parameter's form, of the timestamp
//! (a signature for Duiba's sign-on is good for five minutes, for RRX's for ten) and of the order number's uniqueness,
//! which are the caller's.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use md5::{Digest, Md5};

use crate::platform::vault::{hex, sha256};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Duiba,
    Rrx,
    EqxiuRest,
}

/// Why parameters cannot be signed: two readers could understand them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    #[error("a parameter occurs twice")]
    TwiceNamed,
    #[error("a parameter has the name under which the secret is signed")]
    NamedAsSecret,
}

impl Profile {
    /// The parameter that carries the signature and is not signed itself.
    pub fn signature_name(self) -> &'static str {
        match self {
            Self::Duiba | Self::Rrx => "sign",
            Self::EqxiuRest => "signature",
        }
    }

    /// The name that the secret is signed under.
    fn secret_name(self) -> Option<&'static str> {
        match self {
            Self::Duiba => Some("appSecret"),
            Self::Rrx => Some("app_secret"),
            Self::EqxiuRest => None,
        }
    }

    /// The signature of decoded parameters, in any order. A signature among them is left out.
    pub fn sign<N, V>(self, parameters: &[(N, V)], secret: &str) -> Result<String, Ambiguous>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let text = self.text(parameters, secret)?;
        Ok(match self {
            Self::Duiba => hex(&Md5::digest(&text)),
            Self::Rrx => hex(&Md5::digest(&text)).to_uppercase(),
            Self::EqxiuRest => hex(&sha256(text.as_bytes())),
        })
    }

    /// Whether the parameters carry exactly one signature and it is theirs. Takes the same time for every wrong one.
    pub fn verify<N, V>(self, parameters: &[(N, V)], secret: &str) -> bool
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut given = parameters.iter().filter(|(name, _)| name.as_ref() == self.signature_name());
        let (Some((_, given)), None) = (given.next(), given.next()) else {
            return false;
        };
        self.sign(parameters, secret)
            .is_ok_and(|own| verify_slices_are_equal(own.as_bytes(), given.as_ref().as_bytes()).is_ok())
    }

    /// What is hashed.
    fn text<N, V>(self, parameters: &[(N, V)], secret: &str) -> Result<String, Ambiguous>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut signed: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
            .filter(|(name, _)| *name != self.signature_name())
            .collect();
        signed.sort_unstable();
        if signed.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Ambiguous::TwiceNamed);
        }
        if self.secret_name().is_some_and(|reserved| signed.iter().any(|(name, _)| *name == reserved)) {
            return Err(Ambiguous::NamedAsSecret);
        }
        Ok(match self {
            Self::Duiba => {
                signed.push(("appSecret", secret));
                signed.sort_unstable();
                signed.into_iter().map(|(_, value)| value).collect()
            }
            Self::Rrx => {
                signed.retain(|(_, value)| !value.is_empty());
                signed.push(("app_secret", secret));
                signed.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
            }
            Self::EqxiuRest => {
                signed.retain(|(name, _)| !PAGING.contains(name));
                let mut values: Vec<&str> = signed.into_iter().map(|(_, value)| value).chain([secret]).collect();
                values.sort_unstable();
                values.concat()
            }
        })
    }
}

/// Eqxiu's parameters that page through a list are not signed: do not rely on them.
const PAGING: [&str; 3] = ["pvCount", "pageNo", "pageSize"];

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const PROFILES: [Profile; 3] = [Profile::Duiba, Profile::Rrx, Profile::EqxiuRest];

    type Parameters = Vec<(String, String)>;

    fn with_signature(profile: Profile, parameters: &[(String, String)], signature: &str) -> Parameters {
        let mut signed = parameters.to_vec();
        signed.push((profile.signature_name().to_owned(), signature.to_owned()));
        signed
    }

    fn signed(profile: Profile, parameters: &[(String, String)], secret: &str) -> Parameters {
        with_signature(profile, parameters, &profile.sign(parameters, secret).unwrap())
    }

    fn owned(parameters: &[(&str, &str)]) -> Parameters {
        parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The file of the folder in `MINTHOUSE_VECTORS`, or of `tests/vectors`.
    fn vectors() -> Value {
        let folder = std::env::var_os("MINTHOUSE_VECTORS")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), PathBuf::from);
        let path = folder.join("e_partner_signatures.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_vector_of_the_partner_signatures_holds() {
        let vectors = vectors();
        let known = ["duiba", "rrx", "eqxiu_rest"];
        for (section, value) in vectors.as_object().unwrap() {
            assert!(value.get("cases").is_none() || known.contains(&&**section), "nobody reads the cases of {section}");
        }
        for (profile, section) in PROFILES.into_iter().zip(known) {
            let section = &vectors[section];
            let cases = section["cases"].as_array().expect("a list of cases");
            assert!(!cases.is_empty(), "{profile:?} has no cases");
            for case in cases {
                judge(profile, section, case);
            }
        }
    }

    #[test]
    fn the_examples_of_the_documentation_hold() {
        let page = include_str!("../../docs/identity/embedding.md");
        for (profile, name) in PROFILES.into_iter().zip(["DUIBA", "RRX", "EQXIU"]) {
            let (_, section) = page.split_once(&format!("\n**`{name}`**:")).expect("each profile has its rule");
            let (_, example) = section.split_once("```text\n").expect("and an example");
            let line = |word: &str| {
                let mut lines = example.lines().take_while(|line| *line != "```");
                lines.find_map(|line| line.strip_prefix(word)).expect("which says all that is needed").trim_start()
            };
            let body: Parameters = url::form_urlencoded::parse(line("body").as_bytes()).into_owned().collect();
            assert_eq!(profile.text(&body, line("secret")).as_deref(), Ok(line("hashed")), "{name}");
            assert!(profile.verify(&body, line("secret")), "{name}");
        }
    }

    fn judge(profile: Profile, section: &Value, case: &Value) {
        let name = &case["name"];
        let parameters: Parameters = case["params"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().expect("parameters are texts").to_owned()))
            .collect();
        // Eqxiu's cases have a key each, the others one for all.
        let secret = [&case["key"], &case["app_secret"], &section["app_secret"]];
        let secret = secret.into_iter().find_map(Value::as_str).expect("a secret");
        let signature = case[profile.signature_name()].as_str().expect("a signature");
        let received = with_signature(profile, &parameters, signature);
        if case["expect"] == "reject" {
            assert!(!profile.verify(&received, secret), "{name}");
            return;
        }
        if let Some(text) = case["string_to_sign"].as_str() {
            assert_eq!(profile.text(&parameters, secret).as_deref(), Ok(text), "{name}");
        }
        assert_eq!(profile.sign(&parameters, secret).as_deref(), Ok(signature), "{name}");
        assert!(profile.verify(&received, secret), "{name}");
        assert!(!profile.verify(&received, "another secret"), "{name}");
        assert!(!profile.verify(&parameters, secret), "{name}");
        if let Some(query) = case["query"].as_str() {
            let mut received: Parameters = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            assert!(profile.verify(&received, secret), "{name}");
            let mut expected = with_signature(profile, &parameters, signature);
            received.sort();
            expected.sort();
            assert_eq!(received, expected, "{name}");
        }
    }

    #[test]
    fn names_are_sorted_and_not_pairs() {
        // `1` comes before `=`: whoever sorted the pairs would take a1 first.
        let parameters = owned(&[("a1", "y"), ("a", "x")]);
        assert_eq!(Profile::Rrx.text(&parameters, "s").unwrap(), "a=x&a1=y&app_secret=s");
        assert_eq!(Profile::Rrx.text(&owned(&[("a", "")]), "s").unwrap(), "app_secret=s");
        assert_eq!(Profile::Duiba.text(&owned(&[("z", "1"), ("a", "2"), ("B", "3")]), "s").unwrap(), "32s1");
        assert_eq!(Profile::EqxiuRest.text(&owned(&[("a", "z"), ("b", "Z"), ("pageNo", "1")]), "s").unwrap(), "Zsz");
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_not_signed() {
        for profile in PROFILES {
            let good = signed(profile, &owned(&[("uid", "1"), ("credits", "100")]), "s");
            assert!(profile.verify(&good, "s"));
            for more in [("uid", "1"), ("uid", "2"), (profile.signature_name(), "0"), (&*good[2].0, &*good[2].1)] {
                let doubled = [&good[..], &owned(&[more])].concat();
                assert!(!profile.verify(&doubled, "s"), "{profile:?} {more:?}");
            }
            if let Some(reserved) = profile.secret_name() {
                let parameters = owned(&[("uid", "1"), (reserved, "mine")]);
                assert_eq!(profile.sign(&parameters, "s"), Err(Ambiguous::NamedAsSecret));
            }
            assert_eq!(profile.sign(&owned(&[("uid", "1"), ("uid", "1")]), "s"), Err(Ambiguous::TwiceNamed));
        }
    }

    #[test]
    fn a_signature_is_in_the_letters_of_its_profile() {
        for profile in PROFILES {
            let parameters = owned(&[("uid", "1")]);
            let own = profile.sign(&parameters, "s").unwrap();
            let other = if own == own.to_lowercase() { own.to_uppercase() } else { own.to_lowercase() };
            assert_ne!(own, other);
            for wrong in [other, own[1..].to_owned(), format!("{own}0"), String::new(), "签".to_owned()] {
                assert!(!profile.verify(&with_signature(profile, &parameters, &wrong), "s"), "{profile:?} {wrong}");
            }
        }
    }

    fn parameters() -> impl Strategy<Value = Parameters> {
        proptest::collection::btree_map("[a-z][a-zA-Z_]{0,6}", "\\PC{1,8}", 1..8).prop_map(|map| {
            let reserved = ["sign", "signature", "appSecret", "app_secret"];
            map.into_iter().filter(|(name, _)| !reserved.contains(&&**name) && !PAGING.contains(&&**name)).collect()
        })
    }

    proptest! {
        #[test]
        fn the_order_of_parameters_does_not_matter(
            (good, shuffled) in parameters().prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
            secret in "[a-zA-Z0-9]{1,16}",
        ) {
            for profile in PROFILES {
                prop_assert_eq!(profile.sign(&good, &secret), profile.sign(&shuffled, &secret));
                prop_assert!(profile.verify(&signed(profile, &shuffled, &secret), &secret));
            }
        }

        #[test]
        fn a_value_that_grew_is_found(list in parameters(), more in "[a-z]{1,3}", at in any::<prop::sample::Index>()) {
            prop_assume!(!list.is_empty());
            for profile in PROFILES {
                let mut changed = signed(profile, &list, "secret");
                changed[at.index(list.len())].1 += &more;
                prop_assert!(!profile.verify(&changed, "secret"));
            }
        }
    }
}
