//! What a call's owner may choose.

/// Thresholds. The ones that are part of a detector's accuracy are not here but beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// So long nothing to hear on any lane is dead air.
    pub dead_air_seconds: f64,
    /// So long a pause between words may be without ending a talk span.
    pub pause_seconds: f64,
    /// Both have to speak so long for it to be talk-over.
    pub talk_over_seconds: f64,
    /// An interruption: the other had spoken at least so long, and whoever came in goes on at
    /// least so long once it has the floor. Short words of assent are none.
    pub interruption_seconds: f64,
    /// One lane without any sound for so long, while the other speaks for a fifth of it at least, is
    /// one-way audio.
    pub one_way_seconds: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dead_air_seconds: 5.0,
            pause_seconds: 0.4,
            talk_over_seconds: 0.2,
            interruption_seconds: 1.0,
            one_way_seconds: 10.0,
        }
    }
}
