//! Findings for people. Unaware of how they are found.

use kiln_report::advise::Finding;
use kiln_report::units::{bytes, seconds};

/// All findings, a paragraph each; what can be gained is estimated until it is applied.
pub fn text(name: &str, findings: &[Finding]) -> String {
    if findings.is_empty() {
        return format!("{name}: there is nothing to advise\n");
    }
    findings
        .iter()
        .map(|finding| paragraph(name, finding))
        .collect()
}

fn paragraph(name: &str, finding: &Finding) -> String {
    let line = finding.line.map(|line| format!(":{line}"));
    let line = line.unwrap_or_default();
    let mark = match finding.edits.is_empty() {
        true => "",
        false => " (--apply does it)",
    };
    let (rule, what, advice, gains) =
        (finding.rule, &finding.what, &finding.advice, gains(finding));
    format!("{name}{line}: {rule}{gains}\n  {what}\n  => {advice}{mark}\n")
}

/// What can be gained, each part after a comma.
fn gains(finding: &Finding) -> String {
    let parts = [
        finding.bytes.map(bytes),
        finding
            .compressed
            .map(|size| format!("{} compressed", bytes(size))),
        finding
            .seconds
            .map(|time| format!("{} a rebuild", seconds(time))),
    ];
    let told = parts.into_iter().flatten().map(|part| format!(", ~{part}"));
    told.collect()
}
