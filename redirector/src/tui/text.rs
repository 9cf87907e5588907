//! Numbers in few cells.

/// Two or three digits that matter, with an SI prefix: `0`, `950`, `1.2k`, `12k`, `123M`.
pub fn short(value: f64) -> String {
    const PREFIXES: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    let mut value = value;
    let mut power = 0;
    while value >= 999.5 && power + 1 < PREFIXES.len() {
        value /= 1000.0;
        power += 1;
    }
    let is_whole = value >= 9.95 || (power == 0 && value.fract() == 0.0);
    let digits = usize::from(!is_whole);
    format!("{value:.digits$}{}", PREFIXES[power])
}

pub fn bits(bytes: f64) -> String {
    short(bytes * 8.0)
}

/// A delay or an age, in one unit: `40µs`, `2ms`, `17s`, `5min`.
pub fn seconds(value: f64) -> String {
    match value {
        ..1e-3 => format!("{}µs", short(value * 1e6)),
        ..1.0 => format!("{}ms", short(value * 1e3)),
        ..120.0 => format!("{}s", short(value)),
        ..7200.0 => format!("{}min", short((value / 60.0).floor())),
        ..172_800.0 => format!("{}h", short((value / 3600.0).floor())),
        _ => format!("{}d", short((value / 86_400.0).floor())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.4, "0.4"),
            (7.0, "7"),
            (950.0, "950"),
            (999.6, "1.0k"),
            (1234.0, "1.2k"),
            (12_345.0, "12k"),
            (123e6, "123M"),
            (5e21, "5000000P"),
        ] {
            assert_eq!(short(value), text, "{value}");
        }
    }

    #[test]
    fn times_have_one_unit() {
        for (value, text) in [
            (40e-6, "40µs"),
            (0.002, "2ms"),
            (17.0, "17s"),
            (300.0, "5min"),
            (90_000.0, "25h"),
        ] {
            assert_eq!(seconds(value), text);
        }
    }
}
