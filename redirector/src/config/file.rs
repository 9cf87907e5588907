//! The configuration file: TOML, every key known.

use std::{fmt, net::IpAddr, ops::Range, path::Path};

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{
    Hook, Port, RuleSpec, XdpMode,
    draft::{DraftRule, Word},
    error::{Error, Place, Problem},
    rule::{Fault, Protocols, parse_address},
    suggest::did_you_mean,
    tuning::{Section, Tuning},
};

/// The file's content, each part right in itself. There may be no rules.
#[derive(Debug)]
pub struct File {
    /// Empty: the file names none.
    pub interfaces: Vec<Word>,
    pub hook: Hook,
    pub xdp_mode: Option<XdpMode>,
    pub rules: Vec<DraftRule>,
    pub tuning: Option<Tuning>,
}

/// `path` is only for the messages.
pub fn parse(path: &Path, text: &str) -> Result<File, Error> {
    let at =
        |span: Range<usize>, problem: Problem| Error::at(Place::new(path, text, &span), problem);
    let document: Document = toml::from_str(text).map_err(|error| {
        at(
            error.span().unwrap_or(0..0),
            Problem::Syntax(explain(error.message())),
        )
    })?;
    let words = |list: Option<Spanned<Vec<Spanned<String>>>>| match list {
        Some(list) if list.get_ref().is_empty() => Err(at(list.span(), Problem::NoInterfaces)),
        Some(list) => Ok(list.into_inner().into_iter().map(Word::from).collect()),
        None => Ok(Vec::new()),
    };
    let interfaces = words(document.interfaces)?;
    let rules = document
        .redirect
        .into_iter()
        .map(|redirect| {
            let span = redirect.from.span();
            let Redirect {
                from,
                to,
                protocol,
                address,
                interfaces,
            } = redirect;
            let address_span = address.as_ref().map(Spanned::span);
            let spec = RuleSpec::new(
                protocol.0,
                address.map(|address| address.into_inner().0),
                from.into_inner().0,
                to.get_ref().0,
            )
            .map_err(|fault| {
                let to = to.span();
                let blamed = match fault {
                    Fault::Itself(_) => to,
                    _ => address_span.unwrap_or(to),
                };
                at(blamed, fault.into())
            })?;
            Ok(DraftRule {
                spec,
                interfaces: words(interfaces)?,
                span: Some(span),
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let tuning = document
        .tuning
        .map(Section::validate)
        .transpose()
        .map_err(|(span, fault)| at(span, fault.into()))?;
    Ok(File {
        interfaces,
        hook: document.hook,
        xdp_mode: document.xdp_mode,
        rules,
        tuning,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    interfaces: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    hook: Hook,
    xdp_mode: Option<XdpMode>,
    #[serde(default)]
    redirect: Vec<Redirect>,
    tuning: Option<Section>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redirect {
    from: Spanned<PortField>,
    to: Spanned<PortField>,
    #[serde(default)]
    protocol: ProtocolField,
    address: Option<Spanned<AddressField>>,
    interfaces: Option<Spanned<Vec<Spanned<String>>>>,
}

struct PortField(Port);

#[derive(Default)]
struct ProtocolField(Protocols);

struct AddressField(IpAddr);

impl<'de> Deserialize<'de> for PortField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(PortVisitor).map(Self)
    }
}

struct PortVisitor;

impl de::Visitor<'_> for PortVisitor {
    type Value = Port;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port number between 1 and 65535")
    }

    fn visit_i64<E: de::Error>(self, port: i64) -> Result<Port, E> {
        u16::try_from(port)
            .ok()
            .and_then(Port::new)
            .ok_or_else(|| E::custom(Fault::PortRange(port.to_string())))
    }
}

impl<'de> Deserialize<'de> for ProtocolField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let protocol = String::deserialize(deserializer)?;
        protocol.parse().map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for AddressField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let address = String::deserialize(deserializer)?;
        parse_address(&address).map(Self).map_err(de::Error::custom)
    }
}

impl From<Spanned<String>> for Word {
    fn from(word: Spanned<String>) -> Self {
        Self {
            span: Some(word.span()),
            text: word.into_inner(),
        }
    }
}

/// serde's sentence, in the words of a configuration and with a suggestion.
fn explain(message: &str) -> String {
    let kind = if message.starts_with("unknown field") {
        "key"
    } else if message.starts_with("unknown variant") {
        "value"
    } else if message == "invalid type: map, expected a sequence" {
        return "expected a list of tables: write [[redirect]]".to_owned();
    } else {
        return message
            .replace("missing field", "missing key")
            .replace("a sequence", "a list")
            .replace('\n', ", ");
    };
    let mut quoted = message.split('`').skip(1).step_by(2);
    let word = quoted.next().unwrap_or_default();
    let known: Vec<_> = quoted.collect();
    let hint = did_you_mean(word, known.iter().copied());
    if hint.is_empty() {
        format!("unknown {kind} `{word}`, expected {}", known.join(", "))
    } else {
        format!("unknown {kind} `{word}`{hint}")
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
