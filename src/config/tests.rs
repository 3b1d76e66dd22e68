use super::*;

#[test]
fn the_defaults_file_says_what_the_code_says() {
    let config = Config::default().validate().unwrap();
    assert_eq!(config.selection, SelectionPolicy::default());
    assert_eq!(config.lease, LeasePolicy::default());
    assert_eq!(config.hedge, HedgePolicy::default());
    assert_eq!(config.consensus, ConsensusPolicy::default());
    assert_eq!(config.limits.in_flight, limits::IN_FLIGHT_MAX);
    assert_eq!(config.limits.parked, limits::PARKED_MAX);
    assert_eq!(config.limits.reports_per_minute, limits::REPORTS_PER_MINUTE);
    assert_eq!(config.limits.tasks_per_minute, limits::TASKS_PER_MINUTE);
    assert_eq!(config.limits.requests_per_minute, limits::REQUESTS_PER_MINUTE);
    assert_eq!(config.limits.unproven_per_minute, limits::UNPROVEN_PER_MINUTE);
    assert_eq!(config.limits.connections_per_ip, limits::CONNECTIONS_PER_IP);
    assert_eq!(config.limits.headers_secs, limits::HEADERS_SECS);
    assert_eq!(config.limits.keep_alive_secs, limits::KEEP_ALIVE_SECS);
    assert_eq!(config.limits.bytes_per_sec_min, limits::BYTES_PER_SEC_MIN);
    assert_eq!(config.limits.slow_grace_secs, limits::SLOW_GRACE_SECS);
    assert_eq!(config.queue.open_per_client, limits::OPEN_PER_CLIENT_MAX);
    assert_eq!(config.sweep_millis, limits::SWEEP_MILLIS as u64);
    assert_eq!(config.retention.files_days, limits::FILES_DAYS);
    assert_eq!(config.weights.retention_days, limits::WEIGHTS_DAYS);
}

#[test]
fn an_unknown_key_is_named() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"[server]\nlisten_to = \"x\"\n").unwrap();
    let error = Config::load(Some(file.path())).unwrap_err().to_string();
    assert!(error.contains("listen_to"), "{error}");
}

#[test]
fn a_place_of_files_that_does_not_go_together_is_named() {
    let check = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        config.validate().map(drop).map_err(|error| error.to_string())
    };
    let bucket = |config: &mut Config| {
        config.blobs.store = BlobStore::S3;
        config.blobs.bucket = Some("pit".to_owned());
    };
    assert!(check(bucket).is_ok());
    let refused = [
        check(|config| config.blobs.store = BlobStore::S3),
        check(|config| config.blobs.bucket = Some("pit".to_owned())),
        check(|config| config.blobs.endpoint = Some("http://localhost".to_owned())),
        check(|config| config.retention.files_days = 1),
        check(|config| {
            let mut kind = KindRegistry::default().find("tts").unwrap().1.clone();
            kind.files_days = Some(0);
            config.kinds.push(kind);
        }),
    ];
    for (outcome, key) in refused.into_iter().zip([
        "blobs.bucket",
        "blobs.bucket",
        "blobs.endpoint",
        "retention.files_days",
        "kinds",
    ]) {
        let error = outcome.unwrap_err();
        assert!(error.starts_with(&format!("`{key}`")), "{error}");
    }
}

#[test]
fn dev_mode_is_refused_off_loopback() {
    for (listen, fits) in
        [("127.0.0.1:0", true), ("[::1]:80", true), ("localhost:1", true), ("0.0.0.0:8080", false)]
    {
        let mut config = Config::default();
        config.auth.dev = true;
        config.server.listen = listen.to_owned();
        assert_eq!(config.validate().is_ok(), fits, "{listen}");
    }
}
