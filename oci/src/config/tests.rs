//! Field names, nulls, unknown fields and the environment.

use super::*;
use crate::platform::Platform;

#[test]
fn docker_s_nulls_are_empty() {
    let json = br#"{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":null,"Entrypoint":null,
        "Volumes":null,"ExposedPorts":null,"Labels":null,"OnBuild":null,"Shell":null,"User":"","Healthcheck":null},
        "rootfs":{"type":"layers","diff_ids":null},"history":null}"#;
    let config = ImageConfig::parse(json).unwrap();
    assert_eq!(config.config, RuntimeConfig::default());
    let written = String::from_utf8(config.to_bytes()).unwrap();
    assert_eq!(
        written,
        r#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#
    );
    assert_eq!(config.digest(), Digest::of(written.as_bytes()));
}

#[test]
fn docker_s_fields_and_unknown_ones_survive_in_order() {
    let json = concat!(
        r#"{"created":"2020-01-01T00:00:00Z","author":"a","architecture":"arm","os":"linux","os.version":"1","#,
        r#""os.features":["x"],"variant":"v7","config":{"User":"u","ExposedPorts":{"80/tcp":{}},"Env":["A=1"],"#,
        r#""Entrypoint":["e"],"Cmd":["c"],"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"a":"b"},"#,
        r#""StopSignal":"SIGKILL","StopTimeout":3,"Healthcheck":{"Test":["CMD","x"],"Interval":1000000000,"#,
        r#""Timeout":2,"StartPeriod":3,"StartInterval":4,"Retries":5,"Future":1},"Shell":["/bin/bash","-c"],"#,
        r#""OnBuild":["RUN x"],"ArgsEscaped":true,"NetworkDisabled":true,"Hostname":"h","Image":"i"},"#,
        r#""rootfs":{"type":"layers","diff_ids":[]},"#,
        r#""history":[{"created":"2020-01-01T00:00:00Z","created_by":"x","author":"y","comment":"z","#,
        r#""empty_layer":true}],"docker_version":"20.10","container_config":{"b":1,"a":2}}"#
    );
    let config = ImageConfig::parse(json.as_bytes()).unwrap();
    assert_eq!(config.config.rest["Hostname"], "h");
    assert_eq!(
        config.platform(),
        Platform {
            os_version: Some("1".into()),
            os_features: vec!["x".into()],
            ..Platform::parse("linux/arm/v7").unwrap()
        }
    );
    assert_eq!(String::from_utf8(config.to_bytes()).unwrap(), json);
}

#[test]
fn a_command_may_be_one_string() {
    let config = ImageConfig::parse(br#"{"config":{"Cmd":"sh","Entrypoint":[]}}"#).unwrap();
    assert_eq!(config.config.cmd, Some(vec!["sh".into()]));
    assert_eq!(config.config.entrypoint, Some(vec![]));
    assert!(ImageConfig::parse(br#"{"config":{"Cmd":[1]}}"#).is_err());
}

#[test]
fn a_new_config_is_for_its_platform() {
    let platform = Platform::parse("linux/arm/v6").unwrap();
    assert_eq!(ImageConfig::new(&platform).platform(), platform);
}

#[test]
fn hostile_documents_are_refused() {
    for bad in [
        &b""[..],
        b"[]",
        b"{",
        b"{\"os\":\"a\",\"os\":\"b\"}",
        b"{\"rootfs\":{\"diff_ids\":[\"x\"]}}",
        b"\xff",
    ] {
        assert!(ImageConfig::parse(bad).is_err());
    }
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    assert!(ImageConfig::parse(deep.as_bytes()).is_err());
}
