//! A report back to JSON, in one canonical form: for the audit trail, and for replay.

use super::MinerStatus;
use super::number::push_decimal;

/// The statuses as a JSON list with fixed field order and exact decimals. Reading it again with
/// [`super::parse_statuses`] gives equal statuses.
#[must_use]
pub fn canonical_json(statuses: &[MinerStatus]) -> String {
    let mut out = String::with_capacity(2 + statuses.len() * 256);
    out.push('[');
    for (index, status) in statuses.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_status(&mut out, status);
    }
    out.push(']');
    out
}

fn push_status(out: &mut String, status: &MinerStatus) {
    out.push_str("{\"uid\":");
    out.push_str(&status.uid.to_string());
    // Hotkeys, kinds and addresses hold no character that JSON would escape.
    if let Some(hotkey) = &status.hotkey {
        push_quoted(out, "hotkey", hotkey.as_str());
    }
    push_number(out, "stake", status.stake.map(|stake| stake.rao()), 9);
    if let Some(is_serving) = status.is_serving {
        out.push_str(if is_serving { ",\"is_serving\":true" } else { ",\"is_serving\":false" });
    }
    let performance = status.performance.map(|score| score.millionths());
    push_number(out, "performance_score", performance, 6);
    push_number(out, "current_load", status.load_millionths, 6);
    push_number(out, "max_capacity", status.capacity.map(i64::from), 0);
    if let Some(kinds) = &status.specialization {
        out.push_str(",\"task_type_specialization\":[");
        for (index, name) in kinds.names().enumerate() {
            out.push_str(if index == 0 { "\"" } else { ",\"" });
            out.push_str(name);
            out.push('"');
        }
        out.push(']');
    }
    if let Some(ip) = status.ip {
        push_quoted(out, "ip", &ip.to_string());
    }
    push_number(out, "port", status.port.map(i64::from), 0);
    if let Some(last_seen) = status.last_seen {
        push_quoted(out, "last_seen", &last_seen.rfc3339());
    }
    if let Some(fields) = status.other.as_deref().and_then(|other| other.strip_prefix('{')) {
        out.push(',');
        out.push_str(fields);
    } else {
        out.push('}');
    }
}

fn push_key(out: &mut String, key: &str) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
}

fn push_quoted(out: &mut String, key: &str, value: &str) {
    push_key(out, key);
    out.push('"');
    out.push_str(value);
    out.push('"');
}

fn push_number(out: &mut String, key: &str, scaled: Option<i64>, places: u32) {
    if let Some(scaled) = scaled {
        push_key(out, key);
        push_decimal(out, scaled, places);
    }
}
