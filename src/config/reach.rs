//! From where the server is reached, and by how many.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Config, ConfigError, ServerConfig, invalid};

impl ServerConfig {
    /// The proxies that are believed, as nets.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the entry that is neither an address nor a net.
    pub fn proxies(&self) -> Result<Vec<IpNet>, ConfigError> {
        let net = |entry: &String| {
            let one = |ip: IpAddr| IpNet::from(ip.to_canonical());
            let net = entry.parse::<IpAddr>().map(one).or_else(|_| entry.parse::<IpNet>());
            net.map_err(|_| {
                let problem = format!(
                    "has `{entry}`, which is neither an address (`10.0.0.1`) nor a net \
                     (`10.0.0.0/8`)"
                );
                invalid("server.trusted_proxies", problem)
            })
        };
        self.trusted_proxies.iter().map(net).collect()
    }
}

impl Config {
    pub(super) fn check_reach(&self) -> Result<(), ConfigError> {
        if self.limits.in_flight == 0 || self.evaluation.quorum == 0 {
            return Err(invalid("limits.in_flight", "and `evaluation.quorum` must be at least 1"));
        }
        if self.limits.connections_per_ip == 0 {
            return Err(invalid("limits.connections_per_ip", "must be at least 1"));
        }
        self.server.proxies().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_addresses_and_nets_and_what_is_neither_is_named() {
        let of = |entries: &[&str]| {
            let mut config = Config::default();
            config.server.trusted_proxies = entries.iter().map(|&entry| entry.to_owned()).collect();
            config.validate().and_then(|config| config.server.proxies())
        };
        let nets = of(&["10.0.0.0/8", "192.0.2.7", "::ffff:192.0.2.8", "2001:db8::/32", "::1"]);
        let nets: Vec<_> = nets.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            nets,
            ["10.0.0.0/8", "192.0.2.7/32", "192.0.2.8/32", "2001:db8::/32", "::1/128"]
        );
        for wrong in ["", "proxy", "10.0.0.0/33", "10.0.0.1:80", "10.0.0"] {
            let error = of(&["10.0.0.1", wrong]).unwrap_err().to_string();
            let named = format!("`server.trusted_proxies` has `{wrong}`");
            assert!(error.starts_with(&named), "{error}");
        }
    }
}
