//! Sets of ports, as `net.ipv4.ip_local_reserved_ports` has them.

use std::{collections::BTreeSet, fmt, ops::BitOr, str::FromStr};

/// Shown as the kernel shows it (`proc_do_large_bitmap` in `kernel/sysctl.c`): ascending, with commas,
/// neighbours as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(BTreeSet<u16>);

/// What is no port, or no range of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPort;

impl BitOr for PortSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(&self.0 | &other.0)
    }
}

/// With commas or blanks between.
impl FromStr for PortSet {
    type Err = NoPort;

    fn from_str(text: &str) -> Result<Self, NoPort> {
        let mut ports = BTreeSet::new();
        let port = |text: &str| text.parse::<u16>().map_err(|_| NoPort);
        for part in text.split([',', ' ', '\t']).filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (port(first)?, port(last)?);
            if first > last {
                return Err(NoPort);
            }
            ports.extend(first..=last);
        }
        Ok(Self(ports))
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ports = self.0.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = ports.next() {
            let mut last = first;
            while let Some(next) = ports.next_if(|next| Some(*next) == last.checked_add(1)) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_shown_as_the_kernel_shows_them() {
        for (text, shown) in [
            ("", ""),
            ("8080", "8080"),
            ("9000-9010,8080", "8080,9000-9010"),
            ("1 2\t3,5", "1-3,5"),
            ("0-65535", "0-65535"),
            ("65535,65534", "65534-65535"),
            ("10-20,15-30", "10-30"),
        ] {
            let set: PortSet = text.parse().unwrap();
            assert_eq!(set.to_string(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(set), "{text}");
        }
        for text in ["x", "-1", "1-", "-", "65536", "2-1", "1-2-3"] {
            assert_eq!(text.parse::<PortSet>(), Err(NoPort), "{text}");
        }
    }
}
