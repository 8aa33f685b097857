//! What the analysis finds in raw audio: signed 16-bit little-endian samples from standard input,
//! channels interleaved; facts as JSON lines to standard output, the last one the summary.
//!
//! `cargo run --release --example listen -- 8000 2 < call.raw`

use std::io::{self, Read, Write};

use earhook_audio::analysis::{CallAnalysis, Fact, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rate: u32 = arguments.next().map_or(Ok(8_000), |text| text.parse())?;
    let channels: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let samples: Vec<i16> =
        bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let lane = |place| samples.iter().skip(place).step_by(channels).copied().collect::<Vec<_>>();
    let lanes: Vec<Vec<i16>> = (0..channels).map(lane).collect();
    let lanes: Vec<&[i16]> = lanes.iter().map(Vec::as_slice).collect();

    let mut analysis = CallAnalysis::new(rate, channels, &Settings::default())?;
    let mut facts = Vec::new();
    analysis.push_audio(0, &lanes, &mut facts);
    let summary = analysis.finish(&mut facts);
    let mut out = io::stdout().lock();
    for fact in &facts {
        writeln!(out, "{}", line(fact))?;
    }
    writeln!(out, "{{\"fact\":\"summary\",\"figures\":{:?}}}", format!("{summary:?}"))?;
    Ok(())
}

fn line(fact: &Fact) -> String {
    let lane = match *fact {
        Fact::Speech { lane, .. }
        | Fact::Dtmf { lane, .. }
        | Fact::Tone { lane, .. }
        | Fact::Music { lane, .. }
        | Fact::Clipping { lane, .. } => format!(",\"lane\":{lane}"),
        Fact::TalkOver { by, .. } | Fact::Interruption { by, .. } => format!(",\"by\":{by}"),
        Fact::OneWay { silent, .. } | Fact::OneWayEnded { silent, .. } => {
            format!(",\"silent\":{silent}")
        }
        Fact::DeadAir { .. } | Fact::DeadAirEnded { .. } => String::new(),
    };
    let kind = match *fact {
        Fact::Dtmf { digit, .. } => format!(",\"digit\":\"{digit}\""),
        Fact::Tone { kind, .. } => format!(",\"kind\":\"{}\"", kind.name()),
        _ => String::new(),
    };
    let end = fact.end().map_or(String::new(), |end| format!(",\"end\":{end}"));
    format!("{{\"fact\":\"{}\",\"start\":{}{end}{lane}{kind}}}", fact.name(), fact.start())
}
