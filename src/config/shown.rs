//! The configuration that is in force, as text without secrets.

use url::Url;

use super::Config;

/// Stands where a secret stood.
const HIDDEN: &str = "hidden";

/// Names in a URL's query that stand for secrets, or for files of them, as databases have them.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "secret", "token", "key", "credential", "signature"]
        .iter()
        .any(|word| name.contains(word))
}

/// A URL without its password; what is none and might hold one is hidden whole.
fn without_secrets(text: &str) -> String {
    if !text.contains("://") && !text.contains('@') {
        return text.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else { return HIDDEN.to_owned() };
    if url.cannot_be_a_base() {
        return HIDDEN.to_owned();
    }
    if url.password().is_some() && url.set_password(Some(HIDDEN)).is_err() {
        return HIDDEN.to_owned();
    }
    // A name without a password may be a token, where it is not the user of a database.
    let alone = !url.username().is_empty() && url.password().is_none();
    if alone && matches!(url.scheme(), "http" | "https") && url.set_username(HIDDEN).is_err() {
        return HIDDEN.to_owned();
    }
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if pairs.iter().any(|(name, _)| is_secret(name)) {
        let shown = pairs.iter().map(|(name, value)| {
            (name.as_str(), if is_secret(name) { HIDDEN } else { value.as_str() })
        });
        url.query_pairs_mut().clear().extend_pairs(shown);
    }
    url.to_string()
}

/// A database without its password; what is none that is known, such as the words of libpq, is hidden
/// whole.
fn database_without_secrets(text: &str) -> String {
    match text.starts_with("sqlite:") || Url::parse(text).is_ok_and(|url| !url.cannot_be_a_base()) {
        true => without_secrets(text),
        false => HIDDEN.to_owned(),
    }
}

impl Config {
    /// The same, passwords hidden.
    pub(super) fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        shown.database = shown.database.as_deref().map(database_without_secrets);
        let places = [&mut shown.server.public_url, &mut shown.blobs.endpoint];
        for place in places.into_iter().flatten() {
            *place = without_secrets(place);
        }
        shown
    }

    /// All keys as TOML, passwords hidden. What it says can be read again, but for those.
    ///
    /// # Errors
    /// When a value has no form in TOML.
    pub fn shown(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&self.without_secrets())
    }
}

#[cfg(test)]
mod tests {
    use figment::Figment;
    use figment::providers::{Format, Toml};

    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_urls_carry_them() {
        for (text, shown) in [
            ("postgres://u:hush@host/db?host=/run", "postgres://u:hidden@host/db?host=/run"),
            (
                "postgres://host/db?user=u&password=hush",
                "postgres://host/db?user=u&password=hidden",
            ),
            ("postgres://u:hu@sh@host/db", "postgres://u:hidden@host/db"),
            ("postgres://u@host/db", "postgres://u@host/db"),
            ("postgres://u:hush@host:nonsense/db", "hidden"),
            ("sqlite:/var/lib/x.db", "sqlite:/var/lib/x.db"),
            ("https://u:hush@s3.example/", "https://u:hidden@s3.example/"),
            ("https://hush@s3.example/", "https://hidden@s3.example/"),
            ("https://hush:@s3.example/", "https://hidden@s3.example/"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }

    #[test]
    fn a_database_that_is_not_known_is_hidden_whole() {
        for (text, shown) in [
            ("host=db password=hush", "hidden"),
            ("db:hush", "hidden"),
            ("hush", "hidden"),
            ("sqlite:x.db", "sqlite:x.db"),
            ("postgres://u:hush@host/db", "postgres://u:hidden@host/db"),
            (
                "postgresql:///db?host=/run&password=hush",
                "postgresql:///db?host=%2Frun&password=hidden",
            ),
        ] {
            let config = Config { database: Some(text.to_owned()), ..Config::default() };
            assert_eq!(config.without_secrets().database.as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let database = Some("postgres://u:hush@host/db".to_owned());
        let mut config = Config { database, ..Config::default() };
        config.server.public_url = Some("https://u:hush@public.example/".to_owned());
        config.blobs.endpoint = Some("https://u:hush@bucket.example/".to_owned());
        config.queue.weights.insert("a b".to_owned(), 4);
        config.chain.stake_min = 1_000.5;
        config.kinds = Config::default().kinds().iter().cloned().collect();
        let shown = config.shown().unwrap();
        assert!(!shown.contains("hush"), "{shown}");
        let read: Config = Figment::from(Toml::string(&shown)).extract().unwrap();
        assert_eq!(read.shown().unwrap(), shown);
        assert_eq!(read.queue.weights, config.queue.weights);
        assert_eq!(read.database.as_deref(), Some("postgres://u:hidden@host/db"));
    }
}
